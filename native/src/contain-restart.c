#include "contain.h"

#include <string.h>

/* ms; docker's: doubled each time, from a tenth of a second to a minute, and begun anew by whatever ran for ten seconds. */
enum { FIRST_WAIT = 100, LONGEST_WAIT = 60000, LONG_RUN = 10000 };

long long restart_after(struct restarting *restarting, int exit_code, long long ran) {
  if (restarting->policy == RESTART_NO) return -1;
  if (restarting->policy == RESTART_ON_FAILURE) {
    if (exit_code == 0) return -1;
    if (restarting->most > 0 && restarting->count >= restarting->most) return -1;
  }
  restarting->count++;
  if (ran >= LONG_RUN || restarting->wait == 0) restarting->wait = FIRST_WAIT;
  else restarting->wait = restarting->wait * 2 > LONGEST_WAIT ? LONGEST_WAIT : restarting->wait * 2;
  return restarting->wait;
}

bool parse_restart(const char *text, enum restart *policy) {
  if (strcmp(text, "no") == 0) *policy = RESTART_NO;
  else if (strcmp(text, "on-failure") == 0) *policy = RESTART_ON_FAILURE;
  else if (strcmp(text, "always") == 0) *policy = RESTART_ALWAYS;
  else return false;
  return true;
}
