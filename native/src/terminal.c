/*
 * terminal: the terminal of whoever calls, which Node cannot make raw altogether: what it calls raw still turns line feeds into two
 * characters. `terminal raw` prints what it was before; `terminal set` makes it that again.
 */
#include "helper.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static int value_of(char digit) {
  const char *digits = "0123456789abcdef", *at = strchr(digits, digit);
  return digit == 0 || at == NULL ? -1 : (int)(at - digits);
}

static int set(const char *text) {
  struct termios settings;
  unsigned char *bytes = (unsigned char *)&settings;
  if (strlen(text) != 2 * sizeof settings) fail_with(0, "these are no settings of a terminal");
  for (size_t at = 0; at < sizeof settings; at++) {
    int high = value_of(text[2 * at]), low = value_of(text[2 * at + 1]);
    if (high < 0 || low < 0) fail_with(0, "these are no settings of a terminal");
    bytes[at] = (unsigned char)(high << 4 | low);
  }
  return tcsetattr(STDIN_FILENO, TCSANOW, &settings) == 0 ? 0 : 1;
}

int command_terminal(int argc, char **argv) {
  stage = "terminal";
  if (argc == 2 && strcmp(argv[0], "set") == 0) return set(argv[1]);
  if (argc != 1 || strcmp(argv[0], "raw") != 0) fail_with(0, "expected raw, or set and what it was before");
  struct termios before, raw;
  if (tcgetattr(STDIN_FILENO, &before) < 0) return 1;
  raw = before;
  cfmakeraw(&raw);
  if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0) return 1;
  const unsigned char *bytes = (const unsigned char *)&before;
  for (size_t at = 0; at < sizeof before; at++) printf("%02x", bytes[at]);
  return fflush(stdout) == 0 ? 0 : 1;
}
