// zlib: gzip of messages.
#include <zlib.h>
