// Servers of `outside-world.ts`, in plain JavaScript and in one process each, so that they can be started in any namespace.
//   outside-world.mjs far     what is not on the machine: a server at 198.51.100.2
//   outside-world.mjs near    what listens on the machine's loopback interface: a server, a resolver and an abstract socket
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const [, , which] = process.argv;
const up = [];

const serve = (text, ...where) =>
  up.push(
    new Promise((resolve) =>
      createServer((socket) => socket.on('error', () => undefined).end(text)).listen(...where, resolve),
    ),
  );

/** Says of every name that it is at 198.51.100.2. */
function answer(query) {
  const head = Buffer.from([query[0], query[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
  // The question alone: what programs add behind it (EDNS) is counted elsewhere.
  let end = 12;
  while (query[end] !== 0) end += query[end] + 1;
  const question = query.subarray(12, end + 5);
  const isAddress = question.readUInt16BE(question.length - 4) === 1;
  if (!isAddress) head[7] = 0;
  const record = [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 2];
  return Buffer.concat([head, question, Buffer.from(isAddress ? record : [])]);
}

if (which === 'far') {
  serve('from outside\n', 80, '198.51.100.2');
} else {
  serve('from the machine\n', 8099, '127.0.0.1');
  serve('from an abstract socket\n', '\0tsbuild-near');
  const resolver = createSocket('udp4');
  resolver.on('message', (query, { address, port }) => resolver.send(answer(query), port, address));
  up.push(new Promise((resolve) => resolver.bind(53, '127.0.0.53', resolve)));
}
await Promise.all(up);
// Whoever started it reads until here.
process.stdout.write('up\n');
