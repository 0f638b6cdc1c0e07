package main

import "github.com/moby/buildkit/client/llb"

// exampleCases have the form of BuildKit's examples (examples/buildkit0 to 4), with steps that need no network.
func exampleCases() {
	tools := func() llb.State {
		return base().AddEnv("PATH", "/usr/local/go/bin:/bin").AddEnv("GOPATH", "/go").
			Run(llb.Shlex("mkdir -p /usr/local/go/bin /go")).Root()
	}
	copyWithCp := func(from llb.State, path string, to llb.State, dest string) llb.State {
		cp := base().Run(llb.Shlexf("cp -a /src%s /dest%s", path, dest))
		cp.AddMount("/src", from, llb.Readonly)
		return cp.AddMount("/dest", to)
	}
	built := func(what string) llb.State {
		step := tools().Dir("/go/src").Run(llb.Shlexf("sh -c 'cat a/x > /go/%s'", what), llb.AddMount("/go/src", src(), llb.Readonly))
		return step.Root()
	}
	add("example-0", copyWithCp(built("one"), "/go/one", copyWithCp(built("two"), "/go/two", llb.Scratch(), "/"), "/"))
	add("example-1", copyWithCp(built("two"), "/go/two", base().With(func(s llb.State) llb.State { return copyWithCp(built("one"), "/go/one", s, "/bin/") }), "/bin/"))
	out := func(name string) llb.State {
		step := tools().Dir("/go/src/repo").Run(llb.Shlexf("sh -c 'cat b/z > /out/%s'", name))
		step.AddMount("/go/src/repo", src(), llb.Readonly)
		return step.AddMount("/out", llb.Scratch())
	}
	all := func(from llb.State) llb.StateOption {
		return func(s llb.State) llb.State {
			return s.File(llb.Copy(from, "/.", "/", &llb.CopyInfo{AllowWildcard: true, AttemptUnpack: true, CreateDestPath: true}))
		}
	}
	add("example-3", llb.Scratch().With(all(out("one")), all(out("two")), all(src())))
	add("example-4", llb.Merge([]llb.State{out("one"), out("two"), llb.Diff(tools(), tools().Run(llb.Shlex("touch /go/merged")).Root())}))
	add("example-passwd", base().
		Run(llb.Shlex("sh -c 'echo builder:x:2000:2000::/tmp:/bin/sh >> /etc/passwd'")).
		Run(llb.Shlex("sh -c 'id builder > /id'"), llb.With(llb.User("builder"), llb.Dir("/tmp"), llb.AddEnv("HOME", "/tmp"))).Root())
}
