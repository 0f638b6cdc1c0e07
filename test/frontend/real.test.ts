import { globSync } from 'fast-glob';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  type Bridge,
  checkDockerfile,
  compileDockerfile,
  type CompileOptions,
  formatCheck,
} from '../../src/frontend/index.ts';
import { formatDefinition } from '../../src/llb/index.ts';
import type { ImageConfig } from '../../src/image/index.ts';
import { isTsbuildError, TsbuildError } from '../../src/util/index.ts';
import { amd64, bridgeOf, optionsOf } from './convert/support.ts';

/**
 * Dockerfiles as projects have them, each with a small context, and what is made of them: `check.txt` is the output of
 * `tsbuild build --check`, `graph.json` that of `tsbuild llb --format=json`, `config.json` the image's config. A change of one is
 * a change of what users get, so it is made on purpose: `UPDATE_GOLDENS=1` writes the files, and their difference is reviewed.
 */
const ROOT = fileURLToPath(new URL('../../testdata/real/', import.meta.url));
/** Every folder with a Dockerfile is a case. */
const casesWithDockerfile = globSync('*/Dockerfile', { cwd: ROOT })
  .map((path) => path.slice(0, path.indexOf('/')))
  .toSorted((a, b) => (a < b ? -1 : 1));
const update = process.env['UPDATE_GOLDENS'] === '1';

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the base images are, as far as it shows in a result. */
const IMAGES: Readonly<Record<string, ImageConfig['config']>> = {
  'node:22-alpine': { Env: [PATH, 'NODE_VERSION=22.21.1'], Entrypoint: ['docker-entrypoint.sh'], Cmd: ['node'] },
  'node:22-slim': { Env: [PATH, 'NODE_VERSION=22.21.1'], Entrypoint: ['docker-entrypoint.sh'], Cmd: ['node'] },
  'golang:1.24-bookworm': { Env: ['PATH=/go/bin:/usr/local/go/bin:/usr/bin:/bin', 'GOPATH=/go'], WorkingDir: '/go' },
  'python:3.13-slim': { Env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'PYTHON_VERSION=3.13.9'], Cmd: ['python3'] },
  'rust:1.91-slim': { Env: ['CARGO_HOME=/usr/local/cargo', 'PATH=/usr/local/cargo/bin:/usr/bin:/bin'], Cmd: ['bash'] },
  'gcr.io/distroless/cc-debian12:nonroot': { Env: [PATH], User: '65532', WorkingDir: '/home/nonroot' },
  'eclipse-temurin:21-jdk': { Env: ['JAVA_HOME=/opt/java/openjdk', 'PATH=/opt/java/openjdk/bin:/usr/bin:/bin'] },
  'eclipse-temurin:21-jre': { Env: ['JAVA_HOME=/opt/java/openjdk', 'PATH=/opt/java/openjdk/bin:/usr/bin:/bin'] },
  'nginx:1.29-alpine': {
    Env: [PATH, 'NGINX_VERSION=1.29.3'],
    Entrypoint: ['/docker-entrypoint.sh'],
    Cmd: ['nginx', '-g', 'daemon off;'],
    ExposedPorts: { '80/tcp': {} },
    Labels: { maintainer: 'NGINX Docker Maintainers <docker-maint@nginx.com>' },
    StopSignal: 'SIGQUIT',
  },
  'debian:12-slim': { Env: [PATH], Cmd: ['bash'] },
  'ubuntu:latest': { Env: [PATH], Cmd: ['/bin/bash'], Labels: { 'org.opencontainers.image.version': '24.04' } },
  'alpine:3.22': { Env: [PATH], Cmd: ['/bin/sh'] },
  'busybox:1.37': { Env: [PATH], Cmd: ['sh'] },
};

/** Options beside the defaults, by project. */
const OPTIONS: Readonly<Record<string, Partial<CompileOptions>>> = {
  'go-service': { platforms: [{ os: 'linux', architecture: 'arm64' }], buildArgs: new Map([['VERSION', '1.2.3']]) },
  'static-site': { labels: new Map([['team', 'web']]) },
  monorepo: { target: 'web', namedContexts: new Map([['tools', 'local:tools']]) },
};

/** Base images from the table, files from the project's directory. */
function bridge(project: string): Bridge {
  const dirs: Readonly<Record<string, string>> = { tools: 'tools' };
  const images = Object.fromEntries(Object.entries(IMAGES).map(([name, config]) => [fullName(name), config]));
  return {
    ...bridgeOf({ images }),
    async readFile({ from, path }) {
      if (from.kind !== 'local') throw new TsbuildError('TSB_INTERNAL', 'Nothing is read from remote trees here');
      const file = join(ROOT, project, dirs[from.name] ?? '', path);
      return existsSync(file) ? readFileSync(file) : undefined;
    },
  };
}

function fullName(name: string): string {
  return name.includes('/') ? name : `docker.io/library/${name}`;
}

function compareGolden(project: string, name: string, made: string): void {
  const file = join(ROOT, project, name);
  if (update) writeFileSync(file, made);
  expect(made, `${project}/${name}: UPDATE_GOLDENS=1 accepts it`).toBe(
    existsSync(file) ? readFileSync(file, 'utf8') : '',
  );
}

describe.each(casesWithDockerfile)('%s', (project) => {
  const options = optionsOf({ dockerfileLocal: 'context', buildPlatform: amd64, ...OPTIONS[project] });

  test('is checked', async () => {
    const { target: _, ...all } = options;
    compareGolden(
      project,
      'check.txt',
      formatCheck((await checkDockerfile(bridge(project), { ...all, allStages: true })).result),
    );
  });

  test('is lowered', async () => {
    try {
      const { platforms } = await compileDockerfile(bridge(project), options);
      const [platform] = platforms;
      if (!platform) throw new Error('nothing compiled');
      const graph = Buffer.from(formatDefinition(platform.definition, 'json')).toString();
      compareGolden(project, 'graph.json', graph);
      compareGolden(project, 'config.json', `${JSON.stringify(platform.config, undefined, 2)}\n`);
    } catch (error) {
      if (!isTsbuildError(error)) throw error;
      compareGolden(project, 'error.txt', `${error.message}\n`);
    }
  });
});
