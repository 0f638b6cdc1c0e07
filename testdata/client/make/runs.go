package main

import (
	"net"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
)

// facts is what a step can see of itself that is the same wherever it runs.
const facts = "id -u; id -g; id -G; pwd; echo $0 $#; env | sort | grep -v -e ^SHLVL= -e ^_= -e ^OTEL_ -e ^TRACEPARENT="

// runCases are steps with one mount: their root.
func runCases() {
	add("run-facts", base().Run(sh("{ "+facts+"; } > /facts")).Root())
	add("run-caps", base().Run(sh("{ "+facts+"; } > /facts")).Root()).with(allCaps())
	add("run-env", base().AddEnv("A", "1").AddEnv("B", "two words").AddEnvf("C", "%s-%d", "x", 3).AddEnv("A", "again").AddEnv("EMPTY", "").
		AddEnv("PATH", "/bin").Run(llb.Shlex(`sh -c "env | sort | grep -e ^[ABCEP] > /env"`)).Root())
	add("run-dir", base().Dir("/new/dir").Dir("deeper").Run(sh("pwd > here")).Root())
	add("run-dirf", base().Dirf("/var/%s", "made").Run(llb.Shlexf("/bin/sh -c %q", "pwd > /where; stat -c %a . >> /where")).Root())
	add("run-user", base().User("alice").Dir("/tmp").Run(sh("{ "+facts+"; } > /tmp/facts")).Root())
	add("run-user-group", base().User("bob:wheel").Dir("/tmp").Run(sh("{ "+facts+"; } > /tmp/facts")).Root())
	add("run-user-ids", base().User("4321:55").Dir("/tmp").Run(sh("{ "+facts+"; } > /tmp/facts")).Root())
	add("run-user-unknown", base().User("mallory").Run(sh("id > /tmp/facts")).Root())
	add("run-hostname", base().Hostname("a-name").Run(sh("hostname > /name; tail -n 1 /etc/hosts | grep -c a-name >> /name || true")).Root())
	add("run-extra-hosts", base().AddExtraHost("one.test", net.ParseIP("192.0.2.1")).
		Run(sh("grep one.test /etc/hosts > /h; grep two.test /etc/hosts >> /h"), llb.AddExtraHost("two.test", net.ParseIP("2001:db8::2"))).Root())
	add("run-ulimit", base().AddUlimit(llb.UlimitNofile, 100, 200).
		Run(sh("ulimit -n > /l; ulimit -Hn >> /l; ulimit -c >> /l"), llb.AddUlimit(llb.UlimitCore, 0, 0)).Root())
	add("run-cgroup-parent", base().Run(sh("echo ran > /ran"), llb.WithCgroupParent("some/parent")).Root())
	add("run-exit-codes", base().Run(sh("echo three > /code; exit 3"), llb.ValidExitCodes(0, 3)).Root())
	add("run-exit-code-not-listed", base().Run(sh("true"), llb.ValidExitCodes(3)).Root())
	add("run-fails", base().Run(sh("echo before >&2; exit 7")).Root())
	add("run-fails-named", base().Run(sh("exit 7"), llb.WithCustomName("a step by another name")).Root())
	add("run-no-program", base().Run(llb.Args([]string{"/bin/none", "x"})).Root())
	add("run-relative-program", base().Dir("/bin").Run(llb.Shlex("./sh -c 'pwd > /p'")).Root())
	add("run-from-path", base().Run(llb.Shlex("touch /touched")).Root())
	add("run-shlex", base().Run(llb.Shlex(`/bin/sh -c 'for a in "$@"; do echo "[$a]"; done > /args' x "a b" c\ d 'e"f' ""`)).Root())
	add("run-proxy", base().Run(sh("env | grep -i proxy | sort > /proxy"), llb.WithProxy(llb.ProxyEnv{
		HTTPProxy: "http://h.test:1", HTTPSProxy: "http://s.test:2", FTPProxy: "http://f.test:3", NoProxy: "n.test", AllProxy: "http://a.test:4"})).Root())
	add("run-no-network", base().Network(pb.NetMode_NONE).Run(sh("ls /sys/class/net > /n")).Root())
	add("run-no-network-option", base().Run(sh("ls /sys/class/net > /n"), llb.With(llb.Network(llb.NetModeNone))).Root())
	add("run-host-network-refused", base().Network(pb.NetMode_HOST).Run(sh("true")).Root())
	add("run-host-network", base().Network(pb.NetMode_HOST).Run(sh("echo ran > /ran")).Root(), "--allow", "network.host")
	add("run-insecure-refused", base().Security(pb.SecurityMode_INSECURE).Run(sh("true")).Root())
	add("run-readonly", base().Run(sh("touch /x && exit 9; touch /out/x"), llb.ReadonlyRootFS()).AddMount("/out", llb.Scratch()))
	add("run-readonly-root-kept", base().Run(sh("touch /x && exit 9; true"), llb.ReadonlyRootFS()).Root())
	add("run-device", base().Run(sh("echo ran > /ran"), llb.AddCDIDevice(llb.CDIDeviceName("vendor.test/none=all"), llb.CDIDeviceOptional)).Root())
	add("run-device-missing", base().Run(sh("echo ran > /ran"), llb.AddCDIDevice(llb.CDIDeviceName("vendor.test/none=all"))).Root())
	add("run-resources", base().Run(sh("echo ran > /ran"), llb.WithLinuxResources(llb.LinuxResources{Memory: 64 << 20, CPUShares: 512})).Root())
	add("run-nothing-changed", base().Run(sh("true")).Root())
	add("run-scratch", llb.Scratch().Run(llb.Args([]string{"/bin/true"})).Root())
	add("run-files", base().Run(sh(`umask 022; mkdir -p /t/d; cd /t; echo x > f; chmod 4755 f; ln f g; ln -s f h; chown 1:2 f; mkfifo p; mknod z c 1 3 || true
chown alice:staff d; chmod 2770 d; rm -r /home; touch -d @1234567890 f; rm /t/z || true`)).Root())
	add("run-whiteouts", base().Run(sh("mkdir /d; touch /d/a /d/b")).Root().Run(sh("rm /d/a; rm -r /var; mkdir /var; touch /var/new")).Root().Run(sh("ls /d /var > /list")).Root())
	add("run-reset", base().AddEnv("A", "1").Dir("/tmp").Reset(base().AddEnv("B", "2")).Run(sh("{ pwd; env | grep ^[AB]= ; } > /r")).Root())
	add("run-state-option", base().Run(sh("{ pwd; env | grep ^X=; } > /r"), llb.With(llb.AddEnv("X", "y"), llb.Dir("/etc"))).Root())
	add("run-stdin", base().Run(sh("cat > /in; test -t 0 || echo no terminal >> /in")).Root())
	add("run-requires", base().Requires("first", base().Run(sh("echo first > /tmp/f")).Root(), src()).Run(sh("ls /tmp > /t")).Root())
	add("run-requires-fails", base().Requires("first", base().Run(sh("exit 5")).Root()).Run(sh("true")).Root())
}

// mountCases are steps with more than a root.
func mountCases() {
	list := "find /m -mindepth 1 | sort > /list; stat -c '%a %u %g' /m >> /list"
	add("mount-local", base().Run(sh(list), llb.AddMount("/m", src(), llb.Readonly)).Root())
	add("mount-readonly", base().Run(sh("touch /m/x && exit 9; "+list), llb.AddMount("/m", src(), llb.Readonly)).Root())
	add("mount-source-path", base().Run(sh(list), llb.AddMount("/m", src(), llb.SourcePath("/b/deep"), llb.Readonly)).Root())
	add("mount-source-file", base().Run(sh("cat /m > /list"), llb.AddMount("/m", src(), llb.SourcePath("/a/x"), llb.Readonly)).Root())
	add("mount-source-missing", base().Run(sh("true"), llb.AddMount("/m", src(), llb.SourcePath("/none"), llb.Readonly)).Root())
	add("mount-source-link", base().Run(sh(list), llb.AddMount("/m", src(), llb.SourcePath("/dirlink"), llb.Readonly)).Root())
	add("mount-output", base().Run(sh("echo made > /m/made; rm /m/a/x; echo lost > /root/lost")).AddMount("/m", src()))
	writes := base().Run(sh("echo made > /m/made; echo root > /root/kept"))
	mounted := writes.AddMount("/m", src())
	add("mount-several-outputs", llb.Scratch().File(llb.Copy(mounted, "/made", "/of-mount").Copy(writes.Root(), "/root/kept", "/of-root").Copy(writes.GetMount("/m"), "/a", "/a")))
	add("mount-source-output", base().Run(sh("echo made > /m/made")).AddMount("/m", src(), llb.SourcePath("/b")))
	add("mount-no-output", base().Run(sh("echo made > /m/made; "+list), llb.AddMount("/m", src(), llb.ForceNoOutput)).Root())
	add("mount-scratch", base().Run(sh("echo made > /m/made; "+list)).AddMount("/m", llb.Scratch()))
	add("mount-same-twice", base().Run(sh("echo one > /m/f; cat /n/f > /list || echo apart > /list"), llb.AddMount("/m", src()), llb.AddMount("/n", src())).Root())
	add("mount-nested", base().Run(sh("find /m | sort > /list"), llb.AddMount("/m", src()), llb.AddMount("/m/a/in", src(), llb.SourcePath("/b"))).Root())
	add("mount-stubs", base().Run(sh("true"), llb.AddMount("/deep/er/m", src(), llb.Readonly), llb.AddMount("/etc/passwd", src(), llb.SourcePath("/a/x"), llb.Readonly), llb.AddMount("/opt/f", src(), llb.SourcePath("/a/x"), llb.Readonly)).Root())
	add("mount-relative", base().Dir("/var").Run(sh("ls m > /list"), llb.AddMount("m", src(), llb.Readonly)).Root())
	add("mount-under-root", base().Run(sh("ls /m > /list; touch /m/x"), llb.AddMount("/m", base())).Root())
	add("tmpfs", base().Run(sh("stat -f -c %T /m > /list; touch /m/x; stat -c %a /m >> /list"), llb.AddMount("/m", llb.Scratch(), llb.Tmpfs())).Root())
	add("tmpfs-size", base().Run(sh("dd if=/dev/zero of=/m/x bs=1M count=4 2>/dev/null && exit 9; stat -c %s /m/x > /size"), llb.AddMount("/m", llb.Scratch(), llb.Tmpfs(llb.TmpfsSize(1<<20)))).Root())
	cache := func(id string, sharing llb.CacheMountSharingMode) llb.MountOption {
		return llb.AsPersistentCacheDir(id, sharing)
	}
	first := base().Run(sh("echo one > /c/f"), llb.AddMount("/c", llb.Scratch(), cache("client-a", llb.CacheMountShared))).Root()
	add("cache-kept", first.Run(sh("cat /c/f > /list; stat -c '%a %u' /c >> /list"), llb.AddMount("/c", llb.Scratch(), cache("client-a", llb.CacheMountShared))).Root())
	locked := base().Run(sh("echo two > /c/f"), llb.AddMount("/c", llb.Scratch(), cache("client-b", llb.CacheMountLocked))).Root()
	add("cache-locked", locked.Run(sh("cat /c/f > /list"), llb.AddMount("/c", llb.Scratch(), cache("client-b", llb.CacheMountLocked))).Root())
	add("cache-private", base().Run(sh("echo three > /c/f; ls /c > /list"), llb.AddMount("/c", llb.Scratch(), cache("client-c", llb.CacheMountPrivate))).Root())
	add("cache-of-files", base().Run(sh("find /c | sort > /list"), llb.AddMount("/c", src(), cache("client-d", llb.CacheMountShared))).Root())
	add("cache-of-subdir", base().Run(sh("find /c | sort > /list"), llb.AddMount("/c", src(), llb.SourcePath("/b"), cache("client-e", llb.CacheMountShared))).Root())
	add("content-cache", base().
		Run(sh(list), llb.AddMount("/m", src(), llb.Readonly, llb.ContentCache(llb.MountContentCacheOn))).
		Run(sh("ls /m >> /list"), llb.AddMount("/m", src(), llb.ContentCache(llb.MountContentCacheOff))).Root())
	secret := []string{"--secret", "id=s,src=SECRET"}
	add("secret", base().Run(sh("wc -c < /run/s > /list; stat -c '%a %u %g' /run/s >> /list"), llb.AddSecret("/run/s", llb.SecretID("s"))).Root(), secret...)
	add("secret-options", base().Run(sh("stat -c '%a %u %g' /etc/s > /list"), llb.AddSecret("/etc/s", llb.SecretID("s"), llb.SecretFileOpt(1000, 50, 0o440))).Root(), secret...)
	add("secret-id-of-dest", base().Run(sh("cat s | wc -c > /list"), llb.With(llb.Dir("/")), llb.AddSecret("s")).Root(), secret...)
	add("secret-env", base().Run(sh("echo ${#NAME} > /list; test -e /run/s || echo no file >> /list"), llb.AddSecret("NAME", llb.SecretID("s"), llb.SecretAsEnv(true))).Root(), secret...)
	dest := "/run/s"
	add("secret-env-and-file", base().Run(sh("echo ${#TOKEN} > /list; wc -c < /run/s >> /list"), llb.AddSecretWithDest("s", &dest, llb.SecretAsEnvName("TOKEN"))).Root(), secret...)
	add("secret-missing", base().Run(sh("true"), llb.AddSecret("/run/s", llb.SecretID("absent"))).Root())
	add("secret-optional", base().Run(sh("test -e /run/s || echo none > /list; echo [$NAME] >> /list"), llb.AddSecret("/run/s", llb.SecretID("absent"), llb.SecretOptional), llb.AddSecret("NAME", llb.SecretID("absent"), llb.SecretAsEnv(true), llb.SecretOptional)).Root())
	agent := []string{"--ssh", "default=AGENT"}
	add("ssh", base().Run(sh("echo $SSH_AUTH_SOCK > /list; stat -c '%a %u %g %F' $SSH_AUTH_SOCK >> /list"), llb.AddSSHSocket()).Root(), agent...)
	add("ssh-options", base().Run(sh("echo $SSH_AUTH_SOCK > /list; stat -c '%a %u %g %F' /tmp/agent >> /list"), llb.AddSSHSocket(llb.SSHID("default"), llb.SSHSocketOpt("/tmp/agent", 1000, 50, 0o660))).Root(), agent...)
	add("ssh-missing", base().Run(sh("true"), llb.AddSSHSocket(llb.SSHID("absent"))).Root())
	add("ssh-optional", base().Run(sh("test -e \"$SSH_AUTH_SOCK\" || echo none > /list"), llb.AddSSHSocket(llb.SSHID("absent"), llb.SSHOptional)).Root())
}
