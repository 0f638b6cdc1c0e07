package main

import (
	"time"

	"github.com/moby/buildkit/client/llb"
)

var (
	early = llb.WithCreatedTime(time.Unix(1000000000, 0))
	late  = llb.WithCreatedTime(time.Unix(1500000000, 0))
)

// fileCases are actions that need no files of others.
func fileCases() {
	add("mkfile", llb.Scratch().
		File(llb.Mkfile("/plain", 0o644, []byte("plain\n"))).
		File(llb.Mkfile("relative", 0o600, []byte("relative"))).
		File(llb.Mkfile("/empty", 0o444, nil)).
		File(llb.Mkfile("/owned", 0o640, []byte{0, 1, 255}, llb.WithUIDGID(1234, 65533))).
		File(llb.Mkfile("/timed", 0o755, []byte("timed"), late)))
	add("mkfile-over", base().
		File(llb.Mkfile("/bin/ash", 0o755, []byte("in the place of a link"))).
		File(llb.Mkfile("/etc/group", 0o600, []byte("in the place of a file"), llb.WithUIDGID(1, 2))))
	add("mkdir", llb.Scratch().
		File(llb.Mkdir("/one", 0o755)).
		File(llb.Mkdir("/a/b/c", 0o700, llb.WithParents(true), llb.WithUIDGID(7, 8), early)).
		File(llb.Mkdir("/a/b/d", 0o1777, llb.WithParents(true))).
		File(llb.Mkdir("/one", 0o711, llb.WithParents(true))).
		Dir("/one").File(llb.Mkdir("two", 0o750)))
	add("mkdir-exists", llb.Scratch().File(llb.Mkdir("/one", 0o755)).File(llb.Mkdir("/one", 0o700)))
	add("mkdir-no-parent", llb.Scratch().File(llb.Mkdir("/one/two", 0o755)))
	add("mkfile-no-parent", llb.Scratch().File(llb.Mkfile("/one/two", 0o644, []byte("x"))))
	add("symlink", llb.Scratch().
		File(llb.Mkfile("/target", 0o644, []byte("t"))).
		File(llb.Symlink("target", "/link", early)).
		File(llb.Symlink("/nowhere", "/dangling", llb.WithUIDGID(5, 6))).
		Dir("/").File(llb.Symlink("link", "second")))
	add("symlink-exists", llb.Scratch().
		File(llb.Mkfile("/there", 0o644, []byte("t"))).
		File(llb.Symlink("elsewhere", "/there")))
	add("rm", base().
		File(llb.Rm("/home")).
		File(llb.Rm("/nothing", llb.WithAllowNotFound(true))).
		File(llb.Rm("/etc/[g-z]*", llb.WithAllowWildcard(true))))
	add("rm-wildcard-in-nothing", base().File(llb.Rm("/none/*", llb.WithAllowWildcard(true), llb.WithAllowNotFound(true))))
	add("rm-not-found", base().File(llb.Rm("/nothing")))
	add("rm-wildcard-not-found", base().File(llb.Rm("/nothing*", llb.WithAllowWildcard(true))))
	add("rm-literal-star", llb.Scratch().
		File(llb.Mkfile("/a*", 0o644, []byte("star"))).
		File(llb.Mkfile("/ab", 0o644, []byte("b"))).
		File(llb.Rm("/a*")))
	add("rm-root", llb.Scratch().File(llb.Mkfile("/a", 0o644, nil)).File(llb.Rm("/")))
	add("rm-through-link", llb.Scratch().
		File(llb.Mkdir("/d/e", 0o755, llb.WithParents(true)).Mkfile("/d/e/f", 0o644, nil).Symlink("d", "/l")).
		File(llb.Rm("/l/e")))
	add("chain", llb.Scratch().File(
		llb.Mkdir("/made", 0o755).
			Mkfile("/made/a", 0o644, []byte("a")).
			Mkfile("/made/b", 0o600, []byte("b"), llb.WithUIDGID(10, 20)).
			Symlink("b", "/made/c").
			Rm("/made/a").
			Mkdir("/made/a", 0o2775)))
	add("owner-by-name", base().
		File(llb.Mkfile("/of-alice", 0o644, nil, llb.WithUser("alice"))).
		File(llb.Mkfile("/of-both", 0o644, nil, llb.WithUser("alice:staff"))).
		File(llb.Mkdir("/of-mixed", 0o755, llb.WithUser("1001:wheel"))).
		File(llb.Mkdir("/of-ids", 0o755, llb.WithUser("33:44"))))
	add("owner-unknown", base().File(llb.Mkfile("/f", 0o644, nil, llb.WithUser("nobody-here"))))
	add("owner-without-passwd", llb.Scratch().File(llb.Mkfile("/f", 0o644, nil, llb.WithUser("alice"))))
	passwd := llb.Scratch().
		File(llb.Mkdir("/etc", 0o755)).
		File(llb.Mkfile("/etc/passwd", 0o644, []byte("carol:x:777:888::/:/bin/sh\n"))).
		File(llb.Mkfile("/etc/group", 0o644, []byte("crew:x:999:\n")))
	add("owner-of-chain", passwd.File(
		llb.Mkfile("/one", 0o644, nil, llb.WithUser("carol")).
			Mkfile("/etc/passwd", 0o644, []byte("carol:x:555:666::/:/bin/sh\n")).
			Mkfile("/two", 0o644, nil, llb.WithUser("carol:crew"))))
	add("bind-action", llb.Scratch().File(
		llb.Copy(llb.Mkfile("/made", 0o640, []byte("made on the way"), llb.WithUIDGID(3, 4)).WithState(llb.Scratch()), "/made", "/copied")))
	add("through-links", llb.Scratch().
		File(llb.Mkdir("/real", 0o755)).
		File(llb.Symlink("real", "/way")).
		File(llb.Mkfile("/way/file", 0o644, []byte("through a link"))).
		File(llb.Mkdir("/way/dir/deep", 0o755, llb.WithParents(true))).
		File(llb.Symlink("/../../..", "/up")).
		File(llb.Mkfile("/up/stays", 0o644, []byte("within"))))
	add("setid", llb.Scratch().
		File(llb.Mkfile("/suid", 0o4755, []byte("s"))).
		File(llb.Mkdir("/sgid", 0o2755)).
		File(llb.Mkdir("/sticky", 0o1755)))
}

// copyCases copy from a directory of the caller, from images and from what was made.
func copyCases() {
	all := &llb.CopyInfo{CopyDirContentsOnly: true}
	into := func(source llb.CopyInput, from, to string, opts ...llb.CopyOption) llb.State {
		return llb.Scratch().File(llb.Copy(source, from, to, opts...))
	}
	add("copy-tree", into(src(), "/", "/", all))
	add("copy-dir", into(src(), "/a", "/there"))
	add("copy-dir-slash", into(src(), "/a", "/there/", &llb.CopyInfo{CreateDestPath: true}))
	add("copy-dir-contents", into(src(), "/a", "/there/is", &llb.CopyInfo{CopyDirContentsOnly: true, CreateDestPath: true}))
	add("copy-file", into(src(), "/a/x", "/x"))
	add("copy-file-into-dir", llb.Scratch().File(llb.Mkdir("/d", 0o755)).File(llb.Copy(src(), "a/x", "/d/")))
	add("copy-file-onto-dir", llb.Scratch().File(llb.Mkdir("/d", 0o755)).File(llb.Copy(src(), "a/x", "/d")))
	add("copy-dir-onto-dir", llb.Scratch().File(llb.Mkdir("/d", 0o700)).File(llb.Copy(src(), "a", "/d")))
	add("copy-dir-onto-file", llb.Scratch().File(llb.Mkfile("/d", 0o700, []byte("d"))).File(llb.Copy(src(), "a", "/d", all)))
	add("copy-no-parent", into(src(), "/a/x", "/no/where"))
	add("copy-create-path", into(src(), "/a/x", "/no/where", &llb.CopyInfo{CreateDestPath: true, ChownOpt: &llb.ChownOpt{User: &llb.UserOpt{UID: 9}, Group: &llb.UserOpt{UID: 8}}, CreatedTime: when(1200000000)}))
	add("copy-not-found", into(src(), "/missing", "/x"))
	add("copy-wildcard", into(src(), "/a/*", "/w/", &llb.CopyInfo{AllowWildcard: true, CreateDestPath: true}))
	add("copy-wildcard-dirs", into(src(), "/*", "/w", &llb.CopyInfo{AllowWildcard: true, CreateDestPath: true, CopyDirContentsOnly: true}))
	add("copy-wildcard-class", into(src(), "/a/[xy]", "/w/", &llb.CopyInfo{AllowWildcard: true, CreateDestPath: true}))
	add("copy-wildcard-none", into(src(), "/a/q*", "/w/", &llb.CopyInfo{AllowWildcard: true, CreateDestPath: true}))
	add("copy-wildcard-empty", into(src(), "/a/q*", "/w/", &llb.CopyInfo{AllowWildcard: true, AllowEmptyWildcard: true, CreateDestPath: true}))
	add("copy-star-is-no-wildcard", into(src(), "/a/*", "/w"))
	add("copy-include", into(src(), "/", "/", &llb.CopyInfo{CopyDirContentsOnly: true, IncludePatterns: []string{"**/z", "a/x", "empty"}}))
	add("copy-exclude", into(src(), "/", "/", &llb.CopyInfo{CopyDirContentsOnly: true, ExcludePatterns: []string{"b", "**/y", "*.tar*"}}))
	add("copy-include-exclude", into(src(), "/", "/out", &llb.CopyInfo{CopyDirContentsOnly: true, IncludePatterns: []string{"b"}, ExcludePatterns: []string{"b/deep", "!b/deep/w"}}))
	add("copy-include-subdir", into(src(), "/b", "/out", &llb.CopyInfo{IncludePatterns: []string{"deep/*"}}))
	add("copy-include-none", into(src(), "/", "/out", &llb.CopyInfo{IncludePatterns: []string{"nothing"}}))
	add("copy-required", into(src(), "/", "/out", &llb.CopyInfo{IncludePatterns: []string{"a/*"}, RequiredPaths: []string{"a/x"}}))
	add("copy-required-missing", into(src(), "/", "/out", &llb.CopyInfo{IncludePatterns: []string{"a/*"}, RequiredPaths: []string{"a/q"}}))
	add("copy-link", into(src(), "/link", "/link"))
	add("copy-link-followed", into(src(), "/link", "/link", &llb.CopyInfo{FollowSymlinks: true}))
	add("copy-dirlink", into(src(), "/dirlink", "/d"))
	add("copy-dirlink-followed", into(src(), "/dirlink", "/d", &llb.CopyInfo{FollowSymlinks: true}))
	add("copy-through-dirlink", into(src(), "/dirlink/z", "/z"))
	add("copy-mode", into(src(), "/", "/", &llb.CopyInfo{CopyDirContentsOnly: true, Mode: &llb.ChmodOpt{Mode: 0o751}}))
	add("copy-mode-text", into(src(), "/", "/", &llb.CopyInfo{CopyDirContentsOnly: true, Mode: &llb.ChmodOpt{ModeStr: "u=rwX,go=rX"}}))
	add("copy-mode-bits", into(src(), "/a/run.sh", "/", llb.ChmodOpt{Mode: 0o4711}))
	add("copy-time", into(src(), "/", "/", &llb.CopyInfo{CopyDirContentsOnly: true, CreatedTime: when(1300000000)}))
	add("copy-unpack", into(src(), "/pack.tar", "/", &llb.CopyInfo{AttemptUnpack: true}))
	add("copy-unpack-gz", into(src(), "/pack.tar.gz", "/in/here", &llb.CopyInfo{AttemptUnpack: true, CreateDestPath: true, ChownOpt: &llb.ChownOpt{User: &llb.UserOpt{UID: 9}, Group: &llb.UserOpt{UID: 8}}}))
	add("copy-unpack-no-archive", into(src(), "/a/x", "/in/here", &llb.CopyInfo{AttemptUnpack: true, CreateDestPath: true}))
	add("copy-unpack-wildcard", into(src(), "/*", "/in/", &llb.CopyInfo{AttemptUnpack: true, CreateDestPath: true, AllowWildcard: true}))
	add("copy-owner-by-name", base().File(llb.Copy(src(), "/a", "/a", llb.WithUser("bob:staff"))))
	add("copy-owner-of-destination", llb.Scratch().File(llb.Copy(base(), "/etc", "/etc", llb.WithUser("5:6")).
		Copy(base(), "/etc/passwd", "/p", llb.WithUser("alice"))))
	add("copy-owners-kept", llb.Scratch().File(llb.Copy(
		llb.Scratch().File(llb.Mkdir("/d", 0o755, llb.WithUIDGID(12, 13)).Mkfile("/d/f", 0o4600, []byte("f"), llb.WithUIDGID(14, 15), late)), "/d", "/d")))
	add("copy-replace", llb.Scratch().
		File(llb.Mkdir("/a", 0o755).Mkdir("/a/x", 0o755).Mkfile("/a/x/inside", 0o644, nil)).
		File(llb.Copy(src(), "/a", "/a", &llb.CopyInfo{CopyDirContentsOnly: true, AlwaysReplaceExistingDestPaths: true})))
	add("copy-no-replace", llb.Scratch().
		File(llb.Mkdir("/a", 0o755).Mkdir("/a/x", 0o755).Mkfile("/a/x/inside", 0o644, nil)).
		File(llb.Copy(src(), "/a", "/a", &llb.CopyInfo{CopyDirContentsOnly: true})))
	add("copy-over-link", llb.Scratch().
		File(llb.Mkdir("/real", 0o755).Symlink("real", "/a")).
		File(llb.Copy(src(), "/a", "/a", &llb.CopyInfo{CopyDirContentsOnly: true})))
	add("copy-relative", llb.Scratch().Dir("/made/here").File(llb.Copy(src().Dir("/a"), "x", "y", &llb.CopyInfo{CreateDestPath: true})))
	add("copy-several", into(src(), "/a", "/a").File(llb.Copy(src(), "/b", "/b").Copy(base(), "/etc/passwd", "/b/passwd").Rm("/a/y")))
	add("copy-self", base().File(llb.Copy(base(), "/etc", "/etc2").Copy(base(), "/bin/busybox", "/etc2/busybox")))
	add("copy-hard-links", llb.Scratch().File(llb.Copy(base().Run(sh("mkdir /d; echo 1 > /d/a; ln /d/a /d/b")).Root(), "/d", "/d")))
	add("copy-fifo", llb.Scratch().File(llb.Copy(base().Run(sh("mkdir /d; mkfifo -m 640 /d/p")).Root(), "/d", "/d")))
}

func when(seconds int64) *time.Time {
	t := time.Unix(seconds, 0)
	return &t
}
