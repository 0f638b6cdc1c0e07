import type { CompiledPlatform, CompileResult } from '../frontend/index.ts';
import type { SourceFile } from '../util/index.ts';

/** The graph for one platform with the config of its image. */
export type PlatformGraph = Pick<
  CompiledPlatform,
  'platform' | 'id' | 'definition' | 'graph' | 'config' | 'baseConfig' | 'epoch'
>;

/** What there is to solve and to export, whether a Dockerfile or another program's graph said it. */
export interface CompiledGraphs extends Pick<CompileResult, 'multiPlatform' | 'diagnostics' | 'usage' | 'lintError'> {
  readonly platforms: readonly PlatformGraph[];
  /** What ranges refer to. */
  readonly dockerfile: { readonly file: SourceFile };
}
