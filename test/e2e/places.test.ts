import { chownSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { baseImageTar } from '../support/base-image.ts';
import { Bench, type Outcome } from '../support/bench.ts';
import { type Identity, ordinaryUser } from '../support/identity.ts';
import { type Place, podmanPlace, tsbuildPlace, unitPlace } from '../support/places.ts';
import { testAsRoot } from '../support/real-root.ts';

const STEPS = `FROM base:1
COPY f /f
RUN cat /f > /made && chown alice /made && mkdir /d && mv /made /d/made
RUN test "$(stat -c %U /d/made)" = alice && echo second >> /d/made
`;

const OUT = '-o type=oci,dest=/dev/null,rewrite-timestamp=true';

const stepsIn = (bench: Bench): string => bench.context(STEPS, { f: 'file\n' });

/** What a place said of itself, and what it came to. */
interface Tried {
  readonly doctor: string;
  readonly canRun: boolean;
  readonly digest: string;
  readonly outcome: Outcome;
}

async function tryOut(bench: Bench, { dir, run }: Place): Promise<Tried> {
  const [tsbuild = ''] = bench.command([]);
  const plain = bench.context('FROM scratch\nCOPY f /f\n', { f: 'file\n' });
  const script = `set -e
tsbuild() { ${tsbuild} "$@"; }
export TSBUILD_ROOT=${dir}/store HOME=/nonexistent SOURCE_DATE_EPOCH=1700000000
grep NoNewPrivs /proc/self/status; id
if tsbuild doctor; then echo doctor: yes; else echo doctor: no; fi
SOURCE_DATE_EPOCH=1600000000 tsbuild import ${bench.path('base.tar')} -t base:1 > /dev/null
tsbuild build -q -o type=oci,dest=/dev/null --iidfile plain.id ${plain} && echo plain: "$(cat plain.id)"
if tsbuild build --progress=plain ${OUT} --iidfile steps.id ${stepsIn(bench)}; then echo steps: "$(cat steps.id)"; else echo steps: failed; fi
`;
  const outcome = await run(['sh', '-c', script]);
  const { code, out, err } = outcome;
  expect(code, out + err).toBe(0);
  expect(out, err).toMatch(/^plain: sha256:/m);
  const [, canRun] = /^doctor: (yes|no)$/m.exec(out) ?? [];
  const [, digest = ''] = /^steps: (\S+)$/m.exec(out) ?? [];
  return { doctor: out, canRun: canRun === 'yes', digest, outcome };
}

/** As on the machine itself. */
async function elsewhere(bench: Bench): Promise<string> {
  await bench.importBase();
  const context = stepsIn(bench);
  const out = bench.path('id');
  await bench.ok(['build', '-q', '--iidfile', out, ...OUT.split(' '), context], {
    env: { SOURCE_DATE_EPOCH: '1700000000' },
  });
  return (await bench.tool(['cat', out])).trim();
}

/** Steps run there as `doctor` says, and give the same image. */
function works({ doctor, canRun, digest, outcome: { err } }: Tried, same: string, rung: number): void {
  expect(canRun, doctor).toBe(true);
  expect(doctor).toMatch(new RegExp(`^RUN steps work here \\(rung ${rung}: `, 'm'));
  expect(digest, err).toBe(same);
}

describe('the places that builds run in', () => {
  const everywhere = async (check: (bench: Bench, user: Identity) => Promise<void>): Promise<void> => {
    const user = await ordinaryUser();
    const root: Identity = { name: 'root', uid: 0, gid: 0, prefix: [] };
    await using bench = new Bench(root);
    bench.write('.', { 'base.tar': baseImageTar() });
    // Places find what they build where it is; the way there is open to everybody, as /var/lib is.
    await bench.tool(['chmod', '711', bench.dir]);
    await check(bench, user);
    expect(await bench.leftovers()).toEqual([]);
  };

  testAsRoot('a container of podman as it comes, as its root', { timeout: 120_000 }, () =>
    everywhere(async (bench) => {
      const tried = await tryOut(bench, podmanPlace(bench, '0:0'));
      works(tried, await elsewhere(bench), 3);
    }),
  );

  testAsRoot('the same as a user whom /etc/passwd does not know, as OpenShift has it', { timeout: 120_000 }, () =>
    everywhere(async (bench) => {
      const tried = await tryOut(bench, podmanPlace(bench, '1000680000:0'));
      expect(tried.doctor).toMatch(/^uid=1000680000\b.* gid=0\(root\)/m);
      expect(tried.doctor).toMatch(/(?:problem|warning) +ids: user 1000680000 has no name in \/etc\/passwd/);
      works(tried, await elsewhere(bench), 4);
    }),
  );

  testAsRoot('a container of tsbuild run, as it comes and as doctor there says to start it', { timeout: 120_000 }, () =>
    everywhere(async (bench) => {
      const same = await elsewhere(bench);
      const { doctor, canRun, digest } = await tryOut(bench, tsbuildPlace(bench, []));
      expect([canRun, digest], doctor).toEqual([false, 'failed']);
      expect(doctor).toMatch(/^RUN steps do not work here \(rung 6: /m);
      // As root of a user namespace it has the capability to make devices, and may make none.
      expect(doctor).toMatch(
        /^problem +chroot: root of this container is nobody on the machine, and may make no devices$/m,
      );
      const [, line = ''] = /in a container: start it with (--.*)$/m.exec(doctor) ?? [];
      const there = await tryOut(bench, tsbuildPlace(bench, line.split(' ')));
      works(there, same, 3);
      const status = await tsbuildPlace(bench, line.split(' ')).run(['grep', 'CapEff', '/proc/self/status']);
      expect(status.out).toContain('00000000a80425fb');
    }),
  );

  testAsRoot(
    "a unit of systemd's with NoNewPrivileges and ProtectSystem=strict, of root and of a user",
    { timeout: 120_000 },
    () =>
      everywhere(async (bench, user) => {
        const same = await elsewhere(bench);
        for (const { name, uid, gid } of [bench.who, user]) {
          const state = bench.write(`state-${name}`, {});
          chownSync(state, uid, gid);
          const place = unitPlace(bench, state, { uid, gid });
          const written = await place.run(['sh', '-c', 'touch here && ! touch /etc/there && ! touch /var/tmp/there']);
          expect(written.code, written.err).toBe(0);
          const tried = await tryOut(bench, place);
          expect(tried.doctor).toMatch(/^NoNewPrivs:\s+1$/m);
          // Root needs no help of a setuid program; what helps a user does not work there, and that is said.
          works(tried, same, uid === 0 ? 1 : 4);
          if (uid !== 0) expect(tried.doctor).toContain('in a systemd unit: NoNewPrivileges=no');
        }
      }),
  );
});
