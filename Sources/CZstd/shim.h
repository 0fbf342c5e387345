// libzstd: files compressed on their way.
#include <zstd.h>
