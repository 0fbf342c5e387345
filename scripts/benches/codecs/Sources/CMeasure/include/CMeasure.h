// What a measurement needs from below Swift: a count of memory blocks, and a use of results that no compiler sees
// through.
#ifndef CMEASURE_H
#define CMEASURE_H

#include <stdint.h>

// Blocks that the calling thread has asked for since it started: malloc, calloc, realloc and the aligned kinds.
// Always 0 where the C library is not glibc.
uint64_t allocation_count(void);

// Does nothing, which the caller's compiler cannot know: what it points to must be there.
void observe(const void *value);

#endif
