/*
 * What a step used of the machine. The kernel adds up what processes used as they are waited for: PID 1 of the step takes along all that
 * ended before it and, since it is the last of its pid namespace, what it left behind when it ended. Only children of a process that
 * ignores SIGCHLD are in no sum.
 */
#include "step.h"

/* Blocks of rusage, whatever the disk has. */
enum { BLOCK = 512, KIB = 1024 };

static unsigned long long microseconds(struct timeval time) {
  return (unsigned long long)time.tv_sec * 1000000 + (unsigned long long)time.tv_usec;
}

/*
 * Bytes are those of the disk: what was read from the cache of files, or written to a tmpfs, is in neither number. They are what
 * /proc/PID/io calls read_bytes and write_bytes, which rusage has without another file to open.
 */
void report_usage(const struct rusage *usage) {
  status_line("usage %llu %llu %llu %llu %llu", microseconds(usage->ru_utime), microseconds(usage->ru_stime),
              (unsigned long long)usage->ru_maxrss * KIB, (unsigned long long)usage->ru_inblock * BLOCK,
              (unsigned long long)usage->ru_oublock * BLOCK);
}
