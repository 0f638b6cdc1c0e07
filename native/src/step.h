/* What one step is made of, and the parts of setting it up. */
#ifndef TSBUILD_STEP_H
#define TSBUILD_STEP_H

#include "helper.h"

#include <sys/ioctl.h>
#include <sys/resource.h>

struct list {
  char **items; /* ends with NULL */
  size_t count;
};

enum mount_kind { MOUNT_BIND, MOUNT_DEVICE, MOUNT_LAYERS, MOUNT_TMPFS, MOUNT_FILE };

struct mount_spec {
  enum mount_kind kind;
  const char *target, *source, *subpath, *upper, *work, *size;
  struct list lowers;
  const char *data;
  size_t data_length;
  unsigned mode, uid, gid;
  bool readonly, noexec;
  /* Where the stack is copied to, where none can be mounted; what it looked like then. */
  const char *tree;
  struct remembered *before;
  /* What may be moved away for the time of the step: nobody else has it. */
  bool movable;
  /* The source is a volume's directory, which gets what the image has there when it is empty. */
  bool fill;
  /* Filled by open_sources: the source, or the stack's directories. In shared memory, -1 where there is none. */
  int *source_fd, *upper_fd, *work_fd, *lower_fds;
};

struct limit {
  int resource;
  unsigned long long soft, hard;
};

struct filter {
  void *instructions;
  size_t count;
};

/* A program that executes those of another processor; all NULL where the step needs none. */
struct emulator {
  const char *directory; /* where namespace A has its formats, an existing directory that steps cannot see */
  const char *name, *interpreter;
  const char *rule; /* as the kernel takes it, see its Documentation/admin-guide/binfmt-misc.rst */
};

struct step_spec {
  struct list lowers, args, env;
  struct list sysctls; /* `net/core/somaxconn=1024`, of the step's own namespaces */
  struct list cgroups; /* directories of the groups that the step is put into */
  const char *upper, *work, *cwd, *user, *hostname, *shm_size;
  const char *place; /* an empty directory, where the step's file systems are put together; NULL: `work` */
  const char *network; /* a file that a network namespace is bound to; NULL: this process's own, or a new one */
  bool unfiltered, unmasked; /* no filter of system calls; nothing of /proc and /sys hidden: both are so where insecure is */
  bool prepare_upper, readonly_root, private_network, insecure, no_new_privileges, tty, stdin_open, init, nest;
  const char *keep_uid, *keep_gid; /* who starts it has these ids in it, and root has the ones that he would have had; NULL for not */
  bool discard; /* upper and work go with the step, whatever it has left there */
  bool host_processes, host_ipc, no_ipc, host_uts; /* the machine's; no_ipc: without a place for shared memory */
  /* Files that namespaces of another container are bound to (share.c); NULL: namespaces of its own. */
  const char *pid_namespace, *user_namespace, *ipc_namespace;
  int user_fd; /* with pid_namespace: the one to enter, -1 for that of this process */
  bool hold;   /* nothing is executed: the root stays as long as its first process is left alone */
  bool fakes; /* there is one id only: owners and users are fakes.c's */
  int fakes_socket; /* where the listener goes; -1: nowhere */
  bool scoped; /* the process that starts it has been through restrict_scope (contain.c) */
  unsigned shift, id_count;
  unsigned long long process_limit; /* 0: none */
  uint64_t capabilities;
  struct filter filter;
  struct limit *limits;
  size_t limit_count;
  struct mount_spec *mounts;
  size_t mount_count;
  struct list groups; /* further ones of the user: ids, or names of the image's /etc/group */
  int *upper_fd, *work_fd, *lower_fds;
  struct emulator emulator;
  /* Where no overlay can be mounted: the directory that is the root, the layers that it lacks, a directory for what is out of the way, and
     a file with what the last step has left. */
  const char *tree, *aside, *tree_state;
  struct list tree_layers;
  int *tree_fd;
  struct remembered *before;
  bool keep_trees; /* others look into them, and remove them: they are left as the step leaves them */
  bool bare; /* no namespaces, no mounts: bare.c */
  enum { PROC_EITHER, PROC_OWN, PROC_AROUND } proc;
  int shared_sys; /* with `network`: a detached mount of its /sys, -1 where the kernel refuses one */
};

/* spec.c: pairs of length-prefixed fields, ended by the key "end". */
enum { SPEC_LIMIT = 256 << 20 };
void parse_spec(struct step_spec *spec, int fd);
void parse_description(struct step_spec *spec, char *data, size_t total);
/*
 * A description may begin with the step's surroundings, which the key "step" ends: what its namespaces, /proc, /dev and /sys follow from, and
 * nothing that differs from step to step or is secret. Gives how long they are; 0 where a description does not set them apart.
 */
size_t surroundings_length(const char *data, size_t total);
size_t parse_surroundings(struct step_spec *spec, char *data, size_t total);
/* What follows at `at`. `numbers`: shared memory for descriptors, set to -1, of as many bytes as the description and 12 more; NULL to make some. */
void parse_rest(struct step_spec *spec, char *data, size_t total, size_t at, int *numbers);
/* The length that a field begins with. */
size_t field_length(const char *at);
/* A copy of the next field, with a NUL behind it. */
char *next_field(char *data, size_t total, size_t *at, size_t *length);

/* step.c: the number of a child in the pid namespace that /proc shows, which need not be the one that this process lives in. */
int number_in_proc(int pidfd);

/* A description in memory that is shared with the processes of its step. */
struct shared_description {
  size_t room, total, surroundings;
  int *numbers; /* as for parse_rest */
  char *data;
};

/*
 * step.c: runs the step to its end and gives its exit code. `connection`: where its output goes as frames, -1 for descriptors 1 and 2. `coming`:
 * where the step's description will be, of which `spec` has the surroundings so far; NULL where it has all. `starter`: a socket that is told a
 * number when they are made, and tells one when the description is there; -1 with no `coming`.
 */
int run_step(struct step_spec *spec, int connection, int starter, const struct shared_description *coming);

/* resolve.c: paths beneath a root that others may have filled with traps. */

/* Names of what was made for mounts, shared by the process that makes them and the one that removes them. */
struct stubs {
  size_t used;
  bool overflow;
  char text[1 << 20];
};

struct target {
  int fd;
  bool is_directory;
};

/* openat2 within `root`, with symbolic links of the tree resolved in it and no magic links. */
int open_in_root(int root, const char *path, int flags);
/* Opens `path` for mounting on it, making what is missing. `stubs` NULL: what is made stays, owned by uid and gid. */
struct target resolve_target(int root, const char *path, bool directory, struct stubs *stubs, uid_t uid, gid_t gid);
/* Removes what is still as it was made, from the overlay's upper directory. Restores the times of parents. */
void remove_stubs(int upper, struct stubs *stubs);

/* user.c */
struct identity {
  uid_t uid;
  gid_t gid;
  gid_t *groups;
  size_t group_count;
  const char *home;
};
/* Resolves `name[:group]` by the passwd and group files of the root file system, as runc does. */
struct identity find_identity(int root, const char *user, unsigned id_count);
/* Adds further groups: ids, which the image need not know of, and names of its /etc/group. */
void add_groups(struct identity *identity, int root, const struct list *groups, unsigned id_count);

/* rootfs.c */

/* Where the step's file systems are put together. Runs in the step's mount namespace, with namespace A's rights, as open_sources does. */
int open_place(const struct step_spec *spec);
/* Opens everything outside that the mounts need. */
void open_sources(struct step_spec *spec);
/* A private tmpfs on what open_place gave: it goes with the old root. */
int mount_staging(int place);
/* fill.c: fills an empty volume. Gives a descriptor of its directory. */
int fill_volume(const struct mount_spec *mount, int root);
struct built_root {
  int root;
  struct identity identity;
};
/* Makes the new root, but does not enter it. `staging`: with what make_system has made there. */
struct built_root build_root(struct step_spec *spec, int staging, struct stubs *stubs);
void enter_root(int root);

/* devices.c: /proc, /dev, /sys and what is hidden in them, by their names in a directory; and moved from there to their places in the root. */
void make_system(struct step_spec *spec, int staging);
void attach_system(int staging, int root);
/* A detached /sys of the network that this process is in; -1 where the kernel refuses one. */
int make_sys(const struct step_spec *spec);
void attach_console(int root, int terminal);
int open_terminal(int root, int *master);

/* id_map.c: writes the maps of a step's user namespace. `number`: of its first process in /proc. */
void map_step_ids(int number, const struct step_spec *spec);

/* step.c: a number for the other half of a step. False when that is not there any more. */
bool send_number(int sync, int number);

/* step.c: the line `exit <code>` or `signal <number>`. */
void report_end(int wait_status);

/* Descriptors between the two halves of a step. */
struct plumbing {
  int sync[2];          /* outer, inner; what is sent there are single numbers */
  int outer, inner;     /* pidfds of the halves; the second is the outer one's only */
  int in[2], out[2], err[2];
  int status[2];        /* what the inner half says where the outer frames it */
  struct stubs *stubs;
};
/* A pipe for a stream of the step; `outer` is the end that stays with this process. */
void make_pipe(int fds[2], int outer, unsigned shift);
/* Makes the standard streams of the process that becomes the step, and a session of its own. */
void take_streams(struct step_spec *spec, const struct plumbing *plumbing, const struct identity *identity, int terminal);
/* Tells over the connection that the step is over. */
void tell_end(int connection, int code);

/* emulator.c */

/* Registers the step's emulator in namespace A. Where that cannot be, it says so on the status descriptor: the machine may have its own. */
void offer_emulator(const struct emulator *emulator);

/* process.c: from namespaces to the program. */
void bring_loopback_up(void);
void give_up_capabilities(void);
void drop_and_execute(struct step_spec *spec, const struct identity *identity, int cwd, int parent, int keep);

/* no_sync.c: whether nothing that the step can write to outlives it but its layers. */
bool writes_layers_only(const struct step_spec *spec);
/* Answers requests to wait for the disk with success, where this process may. */
void skip_syncs(void);

/* share.c: namespaces that are not the step's own. */

/* Whether it has no pid namespace of its own. */
bool shares_processes(const struct step_spec *spec);
/* Enters those that the step's first process is to be made in. What this process starts from here on is among the processes that are shared. */
void share_namespaces(struct step_spec *spec);
/* Takes away what `share` has mounted in a container's directory. False when it is still there. */
bool unmount_shared(const char *directory);
/* In the step: its other namespaces belong to the user namespace of those whose processes it shares. */
void enter_shared_user(const struct step_spec *spec, int flags, int sync);
/* How the processes of such a step are known: descriptors of namespaces. */
struct members {
  int mounts, user;
};
/* `number`: of its first process in /proc. */
struct members members_of(const struct step_spec *spec, int number);
void close_members(struct members *members);
/* A signal to all of them. SIGKILL: until there are none. */
void signal_members(const struct members *members, int signal);

/* scope.c: what Landlock keeps the step from reaching. */

/* Version of Landlock that the kernel offers; 0 where there is none. */
int landlock_version(void);
/* Denies connections to abstract unix sockets and, with `signals`, signals to processes outside, where the kernel can (since 6.12) and a bare step may. */
void restrict_scope(bool bare, bool signals);

/* sysctl.c: those of networks, or all others. In the namespaces that they are of. */
void set_sysctls(const struct step_spec *spec, bool of_network);

/* cgroup.c */

/* Puts a process of the step's, which waits meanwhile, into its groups; 0 is the one that calls. */
void join_cgroups(const struct step_spec *spec, pid_t child);
/* Processes of its groups that the kernel has ended for lack of memory; 0 where nothing is counted. */
long long oom_kills(const struct step_spec *spec);
/* In the step, once it is in its groups. */
void hide_cgroups(const struct step_spec *spec);
/* A descriptor that keeps the mounts of the process with that number in /proc beyond its end; -1 when it has ended. */
int hold_mounts(int number);
/* The line `shmem`: bytes of files in memory that are still there, while mounts are held. */
void report_shared_memory(const struct step_spec *spec);

/* usage.c: the line `usage` with microseconds of user and system time, bytes of memory, bytes read and bytes written. */
void report_usage(const struct rusage *usage);

/* pump.c: the step's input and output. */
enum { MAX_PUMPS = 4 };
struct pump {
  int from, to;
  enum frame_kind kind; /* how it is framed; 0 for bytes as they are */
  size_t start, end;
  bool done;
  char buffer[65536];
};
/* step.c: one for each stream of the step; gives their number. */
size_t start_pumps(struct step_spec *spec, const struct plumbing *plumbing, int terminal, int connection, struct pump *pumps);
/* Set in shared memory by a supervisor that has no terminal of its own but a client with one; else NULL. */
extern struct winsize *window_size;
/* Waits for the end of the step, with what it used. Gives its wait status. */
int supervise_step(pid_t child, int signals, struct pump *pumps, size_t count, int terminal, struct rusage *usage);
bool make_raw(int fd);
void restore_terminal(void);

#endif
