import { expect, test } from 'vitest';
import { emptyRegistriesConfig, resolveAlias } from '../../src/registry/index.ts';

const config = {
  ...emptyRegistriesConfig,
  aliases: new Map([
    ['fedora', 'registry.fedoraproject.org/fedora'],
    ['rhel7/rsyslog', 'registry.access.redhat.com/rhel7/rsyslog'],
    ['local', 'localhost:5000/local'],
    ['back', ''],
    ['registry.example/app', 'evil.example/app'],
    ['tagged', 'registry.example/tagged:1'],
    ['bare', 'fedora'],
  ]),
};
const digest = `sha256:${'a'.repeat(64)}`;

test.each([
  ['fedora', 'registry.fedoraproject.org/fedora'],
  ['fedora:40', 'registry.fedoraproject.org/fedora:40'],
  [`fedora@${digest}`, `registry.fedoraproject.org/fedora@${digest}`],
  [`fedora:40@${digest}`, `registry.fedoraproject.org/fedora:40@${digest}`],
  ['rhel7/rsyslog:1', 'registry.access.redhat.com/rhel7/rsyslog:1'],
  ['local', 'localhost:5000/local'],
])('%s means %s', (name, meant) => {
  expect(resolveAlias(name, config)).toBe(meant);
});

test.each([
  'alpine',
  'library/fedora',
  'docker.io/library/fedora',
  'docker.io/fedora',
  'localhost/fedora',
  'registry.example/app',
  'registry.example:5000/fedora',
  'back',
  '',
  'fedora/',
  '__proto__',
])('%s has no alias', (name) => {
  expect(resolveAlias(name, config)).toBeUndefined();
});

test.each(['tagged', 'bare:1'])('an alias that is no repository with its registry is an error: %s', (name) => {
  expect(() => resolveAlias(name, config)).toThrow(/its alias in registries.conf is .* without a tag/);
});
