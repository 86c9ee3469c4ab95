// An HTTP keep-alive server that echoes bodies: node http-echo.mjs IP PORT
import { createServer } from 'node:http';

const [ip, port] = process.argv.slice(2);
const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    response.writeHead(200, { 'content-length': body.length });
    response.end(body);
  });
});
server.listen(Number(port), ip, () => console.log('listening'));
