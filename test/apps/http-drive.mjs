// POSTs over keep-alive connections and checks every echoed byte: node http-drive.mjs URL REQUESTS CONCURRENT MAX_BYTES
import { Agent, request } from 'node:http';

const [url, requests, concurrent, maxBytes] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: Number(concurrent) });
const counts = { ok: 0, failed: 0, wrong: 0 };
let next = 0;

function post(body) {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: 'POST', agent, timeout: 8000 }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks)));
      response.on('error', reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in 8 s')));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function drive() {
  while (next < Number(requests)) {
    const number = next++;
    const body = Buffer.alloc(1 + ((number * 7919) % Number(maxBytes)));
    for (let i = 0; i < body.length; i++) body[i] = (i * 31 + (i >> 8) + number) % 251;
    try {
      counts[(await post(body)).equals(body) ? 'ok' : 'wrong']++;
    } catch (error) {
      counts.failed++;
      console.error(`request ${number}: ${error.message}`);
    }
  }
}

await Promise.all(Array.from({ length: Number(concurrent) }, drive));
console.log(`ok=${counts.ok} failed=${counts.failed} wrong=${counts.wrong}`);
process.exit(counts.ok === Number(requests) ? 0 : 1);
