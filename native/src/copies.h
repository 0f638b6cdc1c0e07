/* Trees: stacks of layers as one directory of real files, for machines where the kernel mounts no overlay. */
#ifndef TSBUILD_COPIES_H
#define TSBUILD_COPIES_H

#include "step.h"

#include <sys/resource.h>
#include <sys/stat.h>

/* ---- whiteout.c ---- */

/* Whether a name of a layer directory hides what lies below: a character device 0:0, or the kernel's other form, an empty file that is marked. */
bool is_whiteout(int dir, const char *name, const struct stat *info);
/* Makes one, in the other form where the file system allows no such device: overlayfs itself does not. */
void make_whiteout(int dir, const char *name);
/* Whether an open directory of a layer hides what lies below it. */
bool is_opaque(int dir);

/* ---- copy.c ---- */

/* The overlay's own attributes are stored under another name in a layer than they have for whoever looks at the mounted tree. */
enum copy_direction { COPY_AS_IS, LAYER_TO_TREE, TREE_TO_LAYER };

/* Copies a file, link, fifo, socket or device under a name that is not there yet, with owner, mode, times and attributes. */
void copy_entry(int from_dir, const char *from, int to_dir, const char *to, const struct stat *info, enum copy_direction direction);
/* Gives an open directory the owner, mode, attributes and times of another one. */
void copy_directory_attributes(int from, int to, enum copy_direction direction);
/* Something that differs for other extended attributes. */
uint64_t hash_attributes(int fd);
/* Removes what is under a name, if anything is. */
void remove_entry(int dir, const char *name);
int open_subdirectory(int parent, const char *name);
/* Puts a layer on top of what a tree has. */
void apply_layer(int layer, int tree);
/* Copies all of a directory into an empty one, where files keep their further names: nobody has to tell there what has changed since. */
void copy_tree(int from, int to);
/* Descriptors are needed for each level of a tree: gives this process as many as it may have, and returns what it had. */
struct rlimit raise_descriptor_limit(void);

/* ---- changes.c ---- */

/* How a tree looked before somebody changed it. */
struct remembered;
struct remembered *remember_tree(int tree);
/* Writes what has changed in a tree since as an overlay's upper directory, and undoes hard links in the tree, which no overlay would keep. */
/* Gives what the tree looks like now, NULL where somebody has to look again. */
struct remembered *capture_changes(struct remembered *before, int tree, int upper);
void write_remembered(const struct remembered *before, int fd);
struct remembered *read_remembered(int fd);

/* ---- tree.c's part for steps: step_tree.c ---- */

/* Makes the step's trees: its root, and one for each stack that is mounted in it. */
void prepare_trees(struct step_spec *spec);
/* Writes what the step has changed into its upper directories, and removes the trees of its mounts. */
void finish_trees(struct step_spec *spec, struct stubs *stubs);

/* ---- places.c: mounts without mounting, by moving things to where they are wanted and back ---- */

struct places;
struct places *new_places(int root, int aside, struct stubs *stubs);
/* Puts what is at `path` to `target`; moved back at the end. */
void place_moved(struct places *places, const char *target, const char *path);
/* Puts what is called `name` in the directory for things aside to `target`; removed at the end. */
void place_made(struct places *places, const char *target, const char *name);
/* Makes a name for something aside. */
const char *new_name(struct places *places);
/* Takes everything out again, the last first. */
void take_out(struct places *places);
void place_mounts(struct places *places, struct step_spec *spec);
void place_system(struct places *places);

/* ---- guard.c: what must not outlive a step that is killed ---- */

/* A file, and where it was put. */
struct guarded {
  int fd, dir;
  const char *name;
};
/* Empties files wherever they are now. */
void empty_files(const struct guarded *files, size_t count);
/* Starts a process that does so when this one has ended, and removes them. Before there is anything in the files. */
pid_t start_guard(const struct guarded *files, size_t count);
void end_guard(pid_t guard);

/* ---- bare.c: a step where no namespace can be made ---- */

int run_bare_step(struct step_spec *spec, int connection);
/* Leaves this process and its descendants no sockets but unix ones, and no new privileges (no_network.c). */
void deny_network(void);
/* Ends all processes that descend from this one, which must be their subreaper, but guards of secrets: those end by themselves when what they
   wait for has, and are waited for if `guards`. */
void end_descendants(bool guards);
/* Ends those of them that are in other sessions than this process: programs, each of which began one, and what they have left. */
void end_programs(void);
/* Makes the tree of a step the root of this process, and takes its network away where it is to have none. */
void enter_tree(const struct step_spec *spec, int root);
/* A terminal of the machine's, for there is no other. Gives its other end as `master`. */
int open_outer_terminal(int *master);

#endif
