/*
 * tsbuild-helper: does what Node cannot. `enter` makes namespace A and runs a command in it, `step` runs one process in a sandbox
 * from there, `steps` stays and does it again and again, `contain` stays with a container, `network` makes the network that steps share or a container has,
 * `bridge` owns one that containers share, `publish` opens ports for it, `remove` and `usage` delete and measure trees that no other user may enter, `landlock` says what the kernel has of it.
 * `here` is `enter` without namespaces, `join` runs a command with the rights of a container, `namespaces` says whether there are any, `listening` whether calls of a step can be answered,
 * `assemble` and `capture` are an overlay without mounts.
 */
#include "helper.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*run)(int, char **);
  } commands[] = {
      {"enter", command_enter},
      {"step", command_step},
      {"steps", command_steps},
      {"contain", command_contain},
      {"terminal", command_terminal},
      {"remove", command_remove},
      {"usage", command_usage},
      {"network", command_network},
      {"bridge", command_bridge},
      {"publish", command_publish},
      {"landlock", command_landlock},
      {"here", command_here},
      {"join", command_join},
      {"share", command_share},
      {"namespaces", command_namespaces},
      {"listening", command_listening},
      {"assemble", command_assemble},
      {"capture", command_capture},
  };
  for (size_t at = 0; argc > 1 && at < sizeof commands / sizeof *commands; at++)
    if (strcmp(argv[1], commands[at].name) == 0) return commands[at].run(argc - 2, argv + 2);
  fputs("tsbuild-helper is a part of tsbuild and is not meant to be called by hand\n", stderr);
  return 2;
}
