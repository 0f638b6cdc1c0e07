// Makes the definitions beside it with BuildKit's client package, as programs make them. The README there says how it is run.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
)

// Case is one definition, and what it needs to be solved.
type Case struct {
	// Args are options that tsbuild solve and buildctl build have under one name.
	Args []string `json:"args,omitempty"`
	// File is where the definition is, beside this list.
	File string `json:"file"`

	state llb.State
	opts  []llb.ConstraintsOpt
}

var cases = map[string]*Case{}

// add makes a case with what the client takes for a machine of its own: everything that a daemon might be able to do.
func add(name string, state llb.State, args ...string) *Case {
	if cases[name] != nil {
		panic("two cases are called " + name)
	}
	c := &Case{Args: args, File: name + ".bin", state: state, opts: []llb.ConstraintsOpt{llb.LinuxAmd64}}
	cases[name] = c
	return c
}

// with sets constraints for all of the case.
func (c *Case) with(opts ...llb.ConstraintsOpt) *Case {
	c.opts = append(c.opts, opts...)
	return c
}

// allCaps says that the daemon can do all that this client knows, as a client says that asked a daemon.
func allCaps() llb.ConstraintsOpt {
	return llb.WithCaps(pb.Caps.CapSet(pb.Caps.All()))
}

func main() {
	dir := os.Args[1]
	layoutDigest = writeLayout(filepath.Join(dir, "layout")).String()
	if err := os.WriteFile(filepath.Join(dir, "src.tar"), sourceTree(), 0o644); err != nil {
		panic(err)
	}
	fileCases()
	copyCases()
	runCases()
	mountCases()
	sourceCases()
	graphCases()
	exampleCases()
	if err := os.MkdirAll(filepath.Join(dir, "definitions"), 0o755); err != nil {
		panic(err)
	}
	names := make([]string, 0, len(cases))
	for name := range cases {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := write(filepath.Join(dir, "definitions", cases[name].File), cases[name]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
	}
	listed, err := json.MarshalIndent(cases, "", "  ")
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cases.json"), append(listed, '\n'), 0o644); err != nil {
		panic(err)
	}
}

func write(path string, c *Case) error {
	def, err := c.state.Marshal(context.TODO(), c.opts...)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return llb.WriteTo(def, f)
}

// base is the image of the tests: busybox under all its names, and some users.
func base() llb.State {
	return llb.Image("docker.io/library/base:1")
}

// sh is a step of the base image's shell.
func sh(script string) llb.RunOption {
	return llb.Args([]string{"/bin/sh", "-ec", script})
}

// src is a directory of the caller, all of it.
func src() llb.State {
	return llb.Local("src")
}
