package main

import (
	"context"
	"fmt"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/llbbuild"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

const httpURL = "http://files.test/dir/file.txt"

// sourceCases are what bytes come from. The test has a server, a repository and a layout in the places that they name.
func sourceCases() {
	policy := []string{"--source-policy-file", "POLICY"}
	add("local-include", llb.Local("src", llb.IncludePatterns([]string{"**/z", "a"})))
	add("local-exclude", llb.Local("src", llb.ExcludePatterns([]string{"a", "*.tar*"})))
	add("local-follow", llb.Local("src", llb.FollowPaths([]string{"link", "dirlink"})))
	add("local-follow-wildcard", llb.Local("src", llb.FollowPaths([]string{"lin*", "b/*"})))
	add("local-options", llb.Local("src", llb.SharedKeyHint("hint"), llb.Differ(llb.DiffNone, true), llb.IncludePatterns([]string{"a"}), llb.ExcludePatterns([]string{"a/y"})))
	add("local-unique", llb.Local("src", llb.IncludePatterns([]string{"a"}))).with(llb.LocalUniqueID("some-id"))
	add("local-metadata", llb.Scratch().File(llb.Copy(llb.Local("src", llb.MetadataOnlyTransfer([]string{"a"})), "/a", "/a")))
	add("local-missing", llb.Local("nowhere"))
	add("local-root", src())
	add("http", llb.HTTP(httpURL), policy...)
	add("http-options", llb.HTTP(httpURL, llb.Checksum(digest.FromString("from the server\n")), llb.Filename("name"), llb.Chmod(0o751), llb.Chown(11, 12),
		llb.Header(llb.HTTPHeader{Accept: "text/x-test", UserAgent: "tests/1"})), policy...)
	add("http-wrong-checksum", llb.HTTP(httpURL, llb.Checksum(digest.FromString("something else"))), policy...)
	add("http-not-found", llb.HTTP("http://files.test/none"), policy...)
	add("http-unpack", llb.Scratch().File(llb.Copy(llb.HTTP("http://files.test/pack.tar.gz"), "/pack.tar.gz", "/", &llb.CopyInfo{AttemptUnpack: true})), policy...)
	add("http-auth", llb.HTTP("http://files.test/private", llb.AuthHeaderSecret("s")), append([]string{"--secret", "id=s,src=SECRET"}, policy...)...)
	repo := "https://git.test/repo.git"
	add("git", llb.Git(repo, "main"), policy...)
	add("git-default", llb.Git(repo, ""), policy...)
	add("git-tag-subdir", llb.Git(repo, "v1:sub"), policy...)
	add("git-options", llb.Git(repo, "", llb.GitRef("v1"), llb.GitSubDir("sub"), llb.GitSkipSubmodules(), llb.GitMTimeCommit()), policy...)
	add("git-keep", base().Run(sh("cd /g; ls -A > /list; cat .git/HEAD >> /list"), llb.AddMount("/g", llb.Git(repo, "main", llb.KeepGitDir()), llb.Readonly)).Root(), policy...)
	add("git-checksum", llb.Git(repo, "v1", llb.GitChecksum("8945992739d8be60bc1f2582c4ecf1bc8205f535")), policy...)
	add("git-no-ref", llb.Git(repo, "none"), policy...)
	add("git-token", llb.Git(repo, "main", llb.AuthTokenSecret("s")), append([]string{"--secret", "id=s,src=SECRET"}, policy...)...)
	layout := []string{"--oci-layout", "lay=LAYOUT"}
	add("layout", llb.OCILayout("here.test/tiny@"+layoutDigest, llb.OCIStore("", "lay")), layout...)
	add("layout-limit", llb.OCILayout("here.test/tiny@"+layoutDigest, llb.OCIStore("", "lay"), llb.OCILayerLimit(1)), layout...)
	add("layout-missing", llb.OCILayout("here.test/tiny@sha256:"+fmt.Sprintf("%064d", 0), llb.OCIStore("", "lay")), layout...)
	add("layout-blob", llb.OCILayoutBlob("here.test/tiny@"+layoutDigest, llb.ImageBlobOCIStore("", "lay"), llb.Filename("index.json"), llb.Chmod(0o640)), layout...)
	add("image-local", llb.Image("base:1", llb.ResolveModePreferLocal))
	add("image-internal", llb.Image("base:1", llb.MarkImageInternal))
	add("image-limit", llb.Image("base:1", llb.WithLayerLimit(1)))
	add("image-checksum", llb.Image("base:1", llb.WithImageChecksum(digest.FromString("something else"))))
	add("image-missing", llb.Image("docker.io/library/no-such-image:1"))
	add("image-platform", llb.Image("base:1", llb.LinuxArm64))
}

// graphCases are about how ops come together, and about what is said of them.
func graphCases() {
	one := llb.Scratch().File(llb.Mkdir("/d", 0o755).Mkfile("/d/one", 0o644, []byte("one")).Mkfile("/same", 0o644, []byte("one")))
	two := llb.Scratch().File(llb.Mkdir("/d", 0o700).Mkfile("/d/two", 0o644, []byte("two")).Mkfile("/same", 0o600, []byte("two")))
	changed := base().Run(sh("echo new > /new; rm /etc/group; chmod 700 /root; rm -r /home; mkdir /home; touch /home/x")).Root()
	add("merge", llb.Merge([]llb.State{one, two, src()}))
	add("merge-base", llb.Merge([]llb.State{base(), one, two}))
	add("merge-one", llb.Merge([]llb.State{one, llb.Scratch()}))
	add("merge-none", llb.Merge([]llb.State{llb.Scratch(), llb.Scratch()}))
	add("merge-run", llb.Merge([]llb.State{base(), one}, llb.WithCustomName("together")).Run(sh("ls /d > /list")).Root())
	add("diff", llb.Diff(base(), changed))
	add("diff-scratch", llb.Diff(llb.Scratch(), one))
	add("diff-to-scratch", llb.Diff(base(), llb.Scratch()))
	add("diff-same", llb.Diff(base(), base()))
	add("diff-unrelated", llb.Diff(one, two))
	add("diff-merge", llb.Merge([]llb.State{base().File(llb.Mkfile("/etc/group", 0o644, []byte("g"))), llb.Diff(base(), changed)}))
	add("diff-merge-of-removed", llb.Merge([]llb.State{llb.Scratch().File(llb.Mkfile("/keep", 0o644, nil)), llb.Diff(base(), base().File(llb.Rm("/etc")))}))
	add("scratch", llb.Scratch())
	add("async", llb.Scratch().Async(func(ctx context.Context, s llb.State, c *llb.Constraints) (llb.State, error) {
		return s.File(llb.Mkfile("/platform", 0o644, []byte(c.Platform.OS+"/"+c.Platform.Architecture))), nil
	}))
	configured, err := base().WithImageConfig([]byte(`{"architecture":"amd64","os":"linux","config":{"Env":["FROM_CONFIG=yes","PATH=/bin"],"WorkingDir":"/var","User":"alice"}}`))
	if err != nil {
		panic(err)
	}
	add("image-config", configured.Run(sh("{ "+facts+"; } > /tmp/facts")).Root())
	add("named", base().
		Run(sh("echo one"), llb.WithCustomName("[first] by name"), llb.ProgressGroup("group", "both", false)).
		Run(sh("echo two"), llb.WithCustomNamef("[%s] by name", "second"), llb.ProgressGroup("group", "both", true)).
		Run(sh("echo three > /three"), llb.WithDescription(map[string]string{"com.example.what": "third", "llb.customname": "described"})).Root())
	add("no-cache", base().Run(sh("echo ran > /ran"), llb.IgnoreCache).Root())
	add("export-cache", base().Run(sh("echo ran > /ran"), llb.WithExportCache()).Run(sh("echo again >> /ran"), llb.WithoutExportCache()).
		Run(sh("echo last >> /ran"), llb.WithoutDefaultExportCache()).Root())
	add("constraints", base().Run(sh("echo ran > /ran"), llb.Require("some.filter==x")).Root())
	add("platform", base().Platform(ocispecs.Platform{OS: "linux", Architecture: "amd64", Variant: "v2"}).Run(sh("echo ran > /ran")).Root())
	add("platform-arm", llb.Scratch().File(llb.Mkfile("/f", 0o644, nil))).with(llb.LinuxArm64)
	source := llb.NewSourceMap(nil, "steps.hcl", "HCL", []byte("step one\nstep two\nstep three\n"))
	at := func(line int32) llb.ConstraintsOpt {
		return source.Location([]*pb.Range{{Start: &pb.Position{Line: line}, End: &pb.Position{Line: line}}})
	}
	add("source-map", base().Run(sh("true"), at(1)).Run(sh("exit 4"), at(2)).Root())
	add("source-map-good", base().Run(sh("echo ran > /ran"), at(1), at(3)).Root())
	add("passthrough", llb.NewPassthrough("id", []llb.PassthroughInput{{State: one, Output: true}, {State: two}}))
	pass := llb.NewPassthroughOp("pair", []llb.PassthroughInput{{State: one, Output: true}, {State: two, Output: true}})
	add("passthrough-two", llb.Scratch().File(llb.Copy(llb.NewState(pass.OutputAt(0)), "/d/one", "/one").Copy(llb.NewState(pass.OutputAt(1)), "/d/two", "/two")))
	add("build", one.With(llbbuild.Build()))
	add("build-file", one.With(llbbuild.Build(llbbuild.WithFilename("/d/one"))))
	diamond := base().Run(sh("echo shared > /shared")).Root()
	left := diamond.Run(sh("cat /shared > /left")).Root()
	right := diamond.Run(sh("cat /shared > /right")).Root()
	add("diamond", llb.Scratch().File(llb.Copy(left, "/left", "/left").Copy(right, "/right", "/right")))
	long := llb.Scratch()
	for i := range 60 {
		long = long.File(llb.Mkfile(fmt.Sprintf("/f%02d", i), 0o644, []byte{byte(i)}))
	}
	add("long", long)
	nested, err := one.Marshal(context.TODO(), llb.LinuxAmd64)
	if err != nil {
		panic(err)
	}
	op, err := llb.NewDefinitionOp(nested.ToPB())
	if err != nil {
		panic(err)
	}
	add("definition-op", llb.NewState(op.Output()).File(llb.Mkfile("/more", 0o644, []byte("more"))))
}

// layoutDigest is the manifest of the image in layout/.
var layoutDigest string
