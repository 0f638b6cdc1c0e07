/**
 * What frontends are told that they can ask for, by the names of BuildKit's frontend/gateway/pb/caps.go. What looks into attestations is
 * not among them.
 */
export const FRONTEND_CAPABILITIES: readonly string[] = [
  'solve.base', 'resolveimage', 'resolveimage.resolvemode', 'readfile', 'return', 'returnmap', 'readdir', 'statfile', 'importcaches',
  'proto.refarray', 'reference.output', 'frontend.inputs', 'gateway.solve.metadata', 'frontend.caps', 'gateway.solve.evaluate',
  'gateway.evaluate', 'gateway.warnings', 'source.metaresolver',
]; // oxfmt-ignore

/** The same of containers that a frontend starts itself, where this machine can have them. */
export const CONTAINER_CAPABILITIES: readonly string[] = [
  'gateway.exec', 'gateway.exec.extrahosts', 'gateway.exec.secretenv', 'gateway.exec.signals', 'gateway.exec.filesystem',
]; // oxfmt-ignore

/**
 * What graphs can have, by the names of BuildKit's solver/pb/caps.go. Clients refuse to send a graph that wants more, and say what it is.
 */
export const LLB_CAPABILITIES: readonly string[] = [
  'source.image', 'source.image.resolvemode', 'source.image.checksum', 'source.image.layerlimit', 'source.imageblob', 'source.local',
  'source.local.unique', 'source.local.sessionid', 'source.local.includepatterns', 'source.local.followpaths',
  'source.local.excludepatterns', 'source.local.sharedkeyhint', 'source.local.differ', 'source.local.metadatatransfer',
  'source.buildop.llbfilename', 'source.git', 'source.git.keepgitdir', 'source.git.fullurl', 'source.git.httpauth',
  'source.git.knownsshhosts', 'source.git.mountsshsock', 'source.git.subdir', 'source.git.checksum', 'source.git.skipsubmodules', 'source.git.mtime',
  'source.git.fetchbycommit', 'source.git.bundle', 'source.git.checkoutbundle', 'source.git.signatureverify', 'source.http', 'source.http.auth',
  'source.http.checksum', 'source.http.perm', 'source.http.signatureverify',
  // BuildKit's own slip of the pen.
  'soruce.http.uidgid',
  'source.http.header', 'source.ocilayout', 'exec.meta.base', 'exec.meta.network', 'exec.meta.proxyenv',
  'exec.meta.security', 'exec.meta.setsdefaultpath', 'exec.meta.ulimit', 'exec.meta.cdi', 'exec.meta.removemountstubs.recursive',
  'exec.meta.linux.resources', 'exec.mount.bind', 'exec.mount.bind.readwrite-nooutput', 'exec.mount.cache', 'exec.mount.cache.sharing',
  'exec.mount.cache.content', 'exec.mount.selector', 'exec.mount.tmpfs', 'exec.mount.tmpfs.size', 'exec.mount.secret', 'exec.mount.ssh',
  'exec.secretenv', 'exec.validexitcode', 'file.base', 'file.rm.wildcard', 'file.copy.includeexcludepatterns', 'file.copy.requiredpaths',
  'file.rm.nofollowsymlink', 'file.copy.alwaysreplaceexistingdestpaths', 'file.copy.modestring', 'file.symlink.create', 'constraints',
  'platform', 'meta.ignorecache', 'meta.description', 'meta.exportcache', 'mergeop', 'diffop', 'passthroughop', 'source.policy',
]; // oxfmt-ignore
