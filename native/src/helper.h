/* Shared declarations of the sandbox helper. Errors end the process: there is nothing to save in a half-made sandbox. */
#ifndef TSBUILD_HELPER_H
#define TSBUILD_HELPER_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Exit code of a helper that reported an error on its status descriptor or on stderr. */
#define EXIT_SETUP 125

/* ---- report.c: errors as `error <errno> <stage> <text>` lines on the status descriptor, else as text on stderr ---- */

/* Where status lines go; -1 sends errors to stderr. */
extern int status_fd;
/* Status lines go there as frames of their own (frame.c). */
extern bool status_framed;
/* Such frames are kept, and go with the next one that is written. */
extern bool status_kept;
/* The step that the process is at, for error lines. */
extern const char *stage;
/* Called by fail before the process ends, unless NULL. */
extern void (*before_exit)(void);

void status_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Reports with errno and exits. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with a given errno; 0 for faults that are not a system call's. */
_Noreturn void fail_with(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- frame.c: several streams over one socket ---- */

/* What a frame carries: pieces of the step's output, status lines, the end of a step with the exit code as text. */
enum frame_kind { FRAME_OUTPUT = 'o', FRAME_ERRORS = 'e', FRAME_STATUS = 's', FRAME_END = 'x' };
enum { FRAME_HEADER = 5 };
/*
 * Writes a whole frame: a byte for its kind, four for the length of what it carries (little-endian), and that. Waits until there is room,
 * so that a reader who is slow holds up the step. False when there is no reader any more.
 */
bool write_frame(int socket, enum frame_kind kind, const void *data, size_t length);
/* The same, but with the next frame, in one piece: each write wakes the reader up, which costs it more than to read what is there. */
bool keep_frame(int socket, enum frame_kind kind, const void *data, size_t length);

/* ---- sys.c: calls and memory ---- */

void *allocate(size_t size);
char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* So many bytes; false when the descriptor ends before the first of them. Fails when it ends later. */
bool read_exactly(int fd, void *data, size_t length);
/* All of a descriptor; fails beyond `limit`. Always NUL-terminated. */
char *read_fd(int fd, size_t limit, size_t *length);
void write_fd(int fd, const void *data, size_t length);
unsigned long long parse_number(const char *text, unsigned long long limit);

#define RESOLVE_NO_XDEV_ 0x01
#define RESOLVE_NO_MAGICLINKS_ 0x02
#define RESOLVE_NO_SYMLINKS_ 0x04
#define RESOLVE_BENEATH_ 0x08
#define RESOLVE_IN_ROOT_ 0x10
int sys_openat2(int dir, const char *path, int flags, mode_t mode, unsigned resolve);

#define MOUNT_RDONLY_ 0x01
#define MOUNT_NOSUID_ 0x02
#define MOUNT_NODEV_ 0x04
#define MOUNT_NOEXEC_ 0x08
int sys_fsopen(const char *type);
/* Sets a string option; a NULL value sets a flag. */
int sys_fsconfig(int context, const char *key, const char *value);
/* Creates the superblock and a detached mount of it. */
int sys_fsmount(int context, unsigned attributes);
/* A detached copy of what `fd` refers to. */
int sys_open_tree(int fd, bool recursive);
/* Attaches a detached mount to what `target` refers to. */
int sys_move_mount(int mount, int target);
int sys_mount_setattr(int fd, bool recursive, unsigned attributes);
/* Makes one file read-only for everything in the mount namespace, by a mount of itself upon it. */
int sys_protect_file(int file);
int sys_pidfd_open(pid_t pid);
/* fork with new namespaces; `flags` are CLONE_NEW* and CLONE_FILES. */
pid_t sys_fork_into(int flags, int *pidfd);
int sys_close_range(unsigned first, unsigned last, unsigned flags);

/*
 * The number of a process in a /proc, which may show another pid namespace than this process lives in; 0 when it is gone or not in there. `proc` is a
 * descriptor of it, or -1 for the one at /proc.
 */
int proc_number(int proc, int pidfd);

/* A signal when the parent dies, and an exit if it is dead already. `parent` is a pidfd of it. */
void die_with_parent(int parent);
/* Blocks every signal and gives a descriptor that reads them. */
int catch_signals(void);
/* Default handlers, nothing blocked: for the program that is executed next. */
void release_signals(void);
/* Starts a program that dies with this process, looked up in PATH unless it is a path. */
pid_t start_command(char *const *command);
/* Waits for `child`, passing on every signal from the descriptor and reaping orphans. Gives the child's wait status. */
int supervise(pid_t child, int signals);
/* Ends all others in this process's user namespace and below it, which nobody else is in (share.c). */
void end_all_below(void);
/* Removes everything in a directory (tree.c). */
void remove_contents(int dir);
/* Removes what is at a path, if anything is. */
void remove_tree(const char *path);
/* Exit code as shells have it: 128 + n for signal n. */
int exit_code_of(int wait_status);

/* ---- subcommands ---- */

int command_enter(int argc, char **argv);
int command_step(int argc, char **argv);
int command_steps(int argc, char **argv);
int command_network(int argc, char **argv);
int command_bridge(int argc, char **argv);
int command_publish(int argc, char **argv);
int command_remove(int argc, char **argv);
/* Runs a command without namespaces, and ends what it leaves (here.c). */
int command_here(int argc, char **argv);
/* Runs a command in the user namespace of another process (join.c). */
int command_join(int argc, char **argv);
/* Makes namespaces of another container files of this mount namespace (share.c). */
int command_share(int argc, char **argv);
/* Prints the errno with which the kernel refuses a user namespace, 0 where it does not (probe.c). */
int command_namespaces(int argc, char **argv);
/* Prints whether somebody can answer for owners and users in a namespace of one id (probe.c). */
int command_listening(int argc, char **argv);
/* Make a tree of layers, and compare it afterwards (tree_commands.c). */
int command_assemble(int argc, char **argv);
int command_capture(int argc, char **argv);
int command_usage(int argc, char **argv);
int command_contain(int argc, char **argv);
int command_terminal(int argc, char **argv);
/* Prints the version of Landlock, 0 without. */
int command_landlock(int argc, char **argv);

/* Passes a descriptor through a socket. Fails when it cannot. */
void send_fd(int socket, int fd);
/* Takes one that was passed, close-on-exec; -1 when the other end is gone or passed none. */
int receive_fd(int socket);

#endif
