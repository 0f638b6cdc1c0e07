import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bench, ContextFile } from '../support/bench.ts';
import { debianPrograms } from '../support/debian-program.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectSound } from '../support/sound.ts';

/** Those that run at once, where somebody asks for it; the goal is for 50. */
const MANY = Number(process.env['TSBUILD_TEST_CONTAINERS'] ?? 0);

const POSTGRES = '/usr/lib/postgresql/15';
const PSQL = `${POSTGRES}/bin/psql`;

/** All files beneath a directory, as files of a context. */
function directory(path: string): Readonly<Record<string, ContextFile>> {
  const names = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    names.map(({ parentPath, name }) => [`root${parentPath}/${name}`, readFileSync(join(parentPath, name))]),
  );
}

const NGINX = `user root;
daemon off;
error_log /dev/stderr;
events {}
http {
  access_log /dev/stdout;
  server { listen 80; location / { root /srv; } location = /healthz { access_log off; return 200; } }
}
`;

const START = `#!/bin/sh
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb -A trust --locale=C -E UTF8 >/dev/null
  echo 'host all all all trust' >> "$PGDATA/pg_hba.conf"
fi
exec postgres -k /tmp -c listen_addresses='*' -c fsync=off
`;

/** Asks until there is an answer; a service that was told to be healthy answers at once. */
async function portOf(bench: Bench, name: string, port: number): Promise<string> {
  return (await bench.ok(['port', name, String(port)])).out.trim().replace(/^.*:/, '');
}

describeAsEveryone('programs of Debian', (who) => {
  const use = useBench(who);
  afterAll(async () => {
    await expectSound(use.bench);
  });

  describe('nginx', () => {
    beforeAll(async () => {
      const context = use.bench.context(
        `FROM base:1
COPY root/ /
RUN mkdir -p /var/log/nginx /var/lib/nginx /run /srv && echo 'hello from nginx' > /srv/index.html
EXPOSE 80
STOPSIGNAL QUIT
HEALTHCHECK --interval=100ms --timeout=10s CMD wget -q -O /dev/null http://127.0.0.1/healthz
CMD ["nginx"]
`,
        { ...debianPrograms('/usr/sbin/nginx'), 'root/etc/nginx/nginx.conf': NGINX },
      );
      await use.bench.ok(['build', '-q', '-t', 'nginx', context]);
    });

    test('on port 80, published, healthy, looked into, followed, stopped, listed', async () => {
      const { bench } = use;
      await bench.ok([
        'run',
        '-d',
        '--wait-healthy',
        '--wait-timeout',
        '60s',
        '--name',
        'web',
        '-p',
        '127.0.0.1:0:80',
        'nginx',
      ]);
      const { out } = await bench.ok(['ps', '--format', '{{.Names}} {{.Status}} {{.Ports}}']);
      expect(out).toMatch(/^web Up .*\(healthy\) 127\.0\.0\.1:\d+->80\/tcp\n$/);
      // All of it, since what is asked below may be answered before this has begun.
      const follow = bench.tsbuildStart(['logs', '-f', 'web']);
      const url = `http://127.0.0.1:${await portOf(bench, 'web', 80)}`;
      expect(await (await fetch(`${url}/index.html`)).text()).toBe('hello from nginx\n');
      await follow.prints(/GET \/index\.html HTTP\/1\.1" 200/);
      await bench.ok(['exec', 'web', 'sh', '-c', 'echo changed > /srv/index.html']);
      expect(await (await fetch(`${url}/`)).text()).toBe('changed\n');
      await bench.ok(['cp', '-', 'web:/srv'], { stdin: execFileSync('tar', ['cf', '-', '-C', '/etc', 'hostname']) });
      expect((await fetch(`${url}/hostname`)).status).toBe(200);
      expect((await bench.ok(['diff', 'web'])).out).toMatch(/^C \/srv\/index\.html$/m);
      // It ends in order: workers finish, and PID 1 says 0.
      await bench.ok(['stop', 'web']);
      expect((await follow.ended).code).toBe(0);
      expect((await bench.ok(['ps', '-a', '--format', '{{.Names}} {{.Status}}'])).out).toMatch(/^web Exited \(0\) /);
      await expect(fetch(url)).rejects.toThrow();
      await bench.ok(['start', 'web']);
      const page = async () => (await fetch(`http://127.0.0.1:${await portOf(bench, 'web', 80)}/`)).text();
      await expect.poll(() => page().catch(String)).toBe('changed\n');
      await bench.ok(['rm', '-f', 'web']);
    });
  });

  test('dnsmasq has port 53 of all addresses, and still finds others by name', async () => {
    const { bench } = use;
    const context = bench.context(
      `FROM base:1
COPY root/ /
HEALTHCHECK --interval=100ms --timeout=10s CMD nslookup one.example 127.0.0.1
CMD ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--user=root", "--group=root", "--no-resolv", "--no-hosts", "--address=/one.example/192.0.2.1", "--address=/one.example/2001:db8::1"]
`,
      debianPrograms('/usr/sbin/dnsmasq'),
    );
    await bench.ok(['build', '-q', '-t', 'dnsmasq', context]);
    await bench.ok(['network', 'create', 'names']);
    const start = ['run', '-d', '--network', 'names', '--name'];
    await bench.ok([...start, 'dns', '--wait-healthy', '--wait-timeout', '60s', 'dnsmasq']);
    await bench.ok([...start, 'other', 'base:1', 'sleep', '1000']);
    const asked = async (from: string, ...question: string[]): Promise<string> =>
      (await bench.ok(['exec', from, 'nslookup', ...question])).out;
    // By name, which our own server knows; the question goes to theirs.
    expect(await asked('other', 'one.example', 'dns')).toContain('Address: 192.0.2.1');
    expect(await asked('dns', 'one.example', '127.0.0.1')).toContain('Address: 192.0.2.1');
    expect(await asked('dns', 'other')).toMatch(/Server:\s+127\.0\.0\.11\n[^]*Name:\s+other\nAddress: 10\./);
    expect((await bench.tsbuild(['exec', 'dns', 'nslookup', 'one.example', '127.0.0.11'])).code).not.toBe(0);
    await bench.ok(['rm', '-f', 'dns', 'other']);
    await bench.ok(['network', 'rm', 'names']);
  });

  test.runIf(MANY > 0)(
    'many of them at once: all healthy, and small',
    async () => {
      const { bench } = use;
      const names = Array.from({ length: MANY }, (_, at) => `many${at}`);
      await Promise.all(
        names.map((name) =>
          bench.ok([
            'run',
            '-d',
            '--wait-healthy',
            '--wait-timeout',
            '100s',
            '--name',
            name,
            '--network',
            'none',
            'nginx',
          ]),
        ),
      );
      expect((await bench.ok(['ps', '-q', '--filter', 'health=healthy'])).out.trim().split('\n')).toHaveLength(MANY);
      const first = (await bench.ok(['inspect', '-f', '{{.State.Pid}}', ...names])).out.trim().split('\n').map(Number);
      const bytes = memoryOf(first);
      // 50 of them in 1 GB.
      expect(bytes).toBeGreaterThan(0);
      expect(bytes / MANY).toBeLessThan(20 * 2 ** 20);
      await bench.ok(['rm', '-f', ...names]);
    },
    60_000 + MANY * 10_000,
  );

  describe('postgres', () => {
    beforeAll(async () => {
      const context = use.bench.context(
        `FROM base:1
COPY root/ /
COPY --chmod=755 start /start
ENV PATH=${POSTGRES}/bin:/bin PGDATA=/var/lib/pg/data
RUN mkdir -p /var/lib/pg && chown 1000:1000 /var/lib/pg
USER alice
VOLUME /var/lib/pg
EXPOSE 5432
STOPSIGNAL INT
HEALTHCHECK --interval=200ms --timeout=20s --start-period=60s --start-interval=200ms CMD psql -h 127.0.0.1 -U alice -c 'SELECT 1' postgres
CMD ["/start"]
`,
        {
          ...directory(`/usr/share/postgresql/15`),
          ...directory(`${POSTGRES}/lib`),
          ...debianPrograms(`${POSTGRES}/bin/postgres`, `${POSTGRES}/bin/initdb`, PSQL),
          start: START,
        },
      );
      await use.bench.ok(['build', '-q', '-t', 'postgres', context]);
    });

    test('its volume survives the container, and one that was killed', async () => {
      const { bench } = use;
      const options = ['-d', '--wait-healthy', '--wait-timeout', '90s', '--name', 'db', '-v', 'pgdata:/var/lib/pg'];
      const run = ['run', ...options, '-p', '127.0.0.1:0:5432', 'postgres'];
      const ask = async (sql: string): Promise<string> =>
        bench.tool([
          PSQL,
          '-h',
          '127.0.0.1',
          '-p',
          await portOf(bench, 'db', 5432),
          '-U',
          'alice',
          '-Atc',
          sql,
          'postgres',
        ]);
      await bench.ok(run);
      await ask("CREATE TABLE kept (what text); INSERT INTO kept VALUES ('first')");
      expect(await ask('SELECT what FROM kept')).toBe('first\n');
      await bench.ok(['stop', 'db']);
      expect((await bench.ok(['wait', 'db'])).out).toBe('0\n');
      await bench.ok(['rm', '-v', 'db']);
      await bench.ok(run);
      await ask("INSERT INTO kept VALUES ('second')");
      await bench.ok(['kill', 'db']);
      await bench.ok(['wait', 'db']);
      await bench.ok(['rm', 'db']);
      await bench.ok(run);
      expect(await ask('SELECT what FROM kept ORDER BY what')).toBe('first\nsecond\n');
      // A client in another container, as the image's user.
      const query = ['exec', 'db', 'psql', '-h', '127.0.0.1', '-Atc', 'SELECT count(*) FROM kept', 'postgres'];
      expect((await bench.ok(query)).out).toBe('2\n');
      await bench.ok(['rm', '-f', 'db']);
      expect((await bench.ok(['volume', 'ls', '-q'])).out).toBe('pgdata\n');
      await bench.ok(['volume', 'rm', 'pgdata']);
    });
  });
});

/** Bytes of containers' processes and of their supervisors, shared memory divided among those who share it. */
function memoryOf(first: readonly number[]): number {
  const parents = new Map<number, number>();
  for (const pid of readdirSync('/proc').map(Number).filter(Boolean)) {
    const parent = /^PPid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1];
    if (parent !== undefined) parents.set(pid, Number(parent));
  }
  /** From a container's first process to the outermost one that is ours. */
  const climb = (pid: number): number => {
    const parent = parents.get(pid) ?? 0;
    return read(`/proc/${parent}/comm`).startsWith('tsbuild-helper') ? climb(parent) : pid;
  };
  const outermost = new Set(first.map(climb));
  const isIn = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 1 && (outermost.has(pid) || isIn(parents.get(pid)));
  const kilobytes = [...parents.keys()]
    .filter(isIn)
    .map((pid) => Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0));
  return kilobytes.reduce((sum, one) => sum + one, 0) * 1024;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It ended meanwhile.
    return '';
  }
}
