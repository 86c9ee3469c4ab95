/**
 * Agents that only answer, in a process of their own: latency-agents.js PORT COUNT.  Ends with its parent.
 */
import { RawStream } from '../../support/xds-server.ts';

const [, , port = '', count = ''] = process.argv;
for (let i = 0; i < Number(count); i++) {
  const stream = new RawStream(`127.0.0.1:${port}`, { headers: { 'test-node': `n${i}` } });
  stream.onResponse = () => stream.responses.splice(0);
  stream.subscribe('addresses');
}
process.on('disconnect', () => process.exit(0));
