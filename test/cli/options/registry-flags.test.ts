import { describe, expect, test } from 'vitest';
import { type RegistryFlags, registryOptions } from '../../../src/cli/options/registry-flags.ts';
import { fakeContext } from '../../fakes/cli-context.ts';

const context = fakeContext({ cwd: '/project', env: { HOME: '/home/u' } });
const options = (flags: RegistryFlags, host: string | undefined = 'reg.test:5000') =>
  registryOptions(context, flags, host);

describe('options about a registry', () => {
  test('say nothing where nothing was said', () => {
    expect(options({})).toEqual({});
  });

  test('are for the one registry that is spoken to, and no other', () => {
    expect(options({ creds: 'me:pass:word' })).toEqual({
      credentials: { host: 'reg.test:5000', credential: { username: 'me', password: 'pass:word' } },
    });
    expect(options({ certDir: 'certs' })).toEqual({ certificateDirs: [{ host: 'reg.test:5000', dir: '/project/certs' }] });
    expect(options({ tlsVerify: false })).toEqual({ insecureHosts: new Set(['reg.test:5000']) });
    expect(options({ tlsVerify: true })).toEqual({ secureHosts: new Set(['reg.test:5000']) });
    // A name without a registry, such as an id: there is nobody whom they could be about.
    expect(registryOptions(context, { creds: 'a:b', certDir: 'x', tlsVerify: false }, undefined)).toEqual({});
  }); // oxfmt-ignore

  test('--no-creds asks as nobody, whatever is kept', () => {
    expect(options({ noCreds: true })).toEqual({ credentialSources: { files: [] } });
    expect(options({ noCreds: true, authfile: 'auth.json' })).toEqual({ credentialSources: { files: [] } });
  });

  test('--authfile counts alone, from the working directory', () => {
    expect(options({ authfile: 'auth.json' })).toMatchObject({ credentialSources: { files: ['/project/auth.json'] } });
  });

  test.each([
    [{ retry: '0' }, { attempts: 1 }],
    [{ retry: '5' }, { attempts: 6 }],
    [{ retryTimes: '1' }, { attempts: 2 }],
    [{ retry: '3', retryTimes: '9' }, { attempts: 4 }],
    // Podman's has a unit, skopeo's is in seconds.
    [{ retryDelay: '2s' }, { attempts: 3, backoffMs: 2000 }],
    [{ retryDelay: '2' }, { attempts: 3, backoffMs: 2000 }],
    [{ retryDelay: '1m30s' }, { attempts: 3, backoffMs: 90_000 }],
    [
      { retry: '0', retryDelay: '0' },
      { attempts: 1, backoffMs: 0 },
    ],
  ])('%j', (flags, tries) => {
    expect(options(flags)).toEqual({ registryTries: tries });
  });

  test.each([
    [{ retry: '-1' }, 'Cannot use --retry "-1": expected a number up to 99'],
    [{ retry: '100' }, 'Cannot use --retry "100": expected a number up to 99'],
    [{ retry: '' }, 'Cannot use --retry "": expected a number up to 99'],
    [{ retryDelay: '' }, 'Cannot use --retry-delay "": expected for example 90s, 24h or 7d'],
    [{ retryDelay: '-2s' }, 'Cannot use --retry-delay "-2s": expected for example 90s'],
    [{ retryDelay: '99999999999' }, 'Cannot use --retry-delay "99999999999": expected for example 90s'],
    [{ creds: '' }, 'Cannot use --creds: expected USER:PASSWORD'],
    [{ creds: ':secret' }, 'Cannot use --creds: expected USER:PASSWORD'],
  ])('%j is refused', (flags, why) => {
    expect(() => options(flags)).toThrow(
      expect.objectContaining({ code: 'TSB_USAGE', message: expect.stringContaining(why) as string }),
    );
  });

  test('what is wrong with credentials is told without them', () => {
    expect(() => options({ creds: 'hunter2' })).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('hunter2') as string }),
    );
  });
});
