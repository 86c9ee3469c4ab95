/**
 * 5,000 connections whose peers never read: redirected bytes cost less than 256 MiB of kernel memory in all. What plain
 * TCP holds for the same connections is measured first and is not the agent's doing.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { startAgent } from '../support/agent.ts';
import { type Mesh, createMesh } from '../support/netns.ts';
import { cProgram, skipReason } from '../support/node.ts';
import { type Counts, parseCounts, tortureArguments } from '../support/programs.ts';

const CONNECTIONS = 5000;
const BUDGET_MIB = 256;
const skip = skipReason();

/**
 * Small TCP buffers in the pods: 5,000 full windows of the usual size would use up tcp_mem of the whole machine, and the
 * test would measure that.
 */
async function smallTcpBuffers(mesh: Mesh): Promise<void> {
  const script = 'cd /proc/sys/net/ipv4 && echo "$0" >tcp_rmem && echo "$0" >tcp_wmem';
  for (const pod of mesh.pods) {
    const result = await mesh.run('sh', ['-c', script, '4096 16384 16384'], { pod });
    assert.equal(result.code, 0, result.stderr);
  }
}

async function idle(mesh: Mesh, messageBytes: number): Promise<Counts> {
  await smallTcpBuffers(mesh);
  const args = [...tortureArguments(mesh), String(CONNECTIONS), String(messageBytes)];
  const result = await mesh.run(cProgram('torture-idle'), args, { timeoutMs: 280_000 });
  assert.equal(result.code, 0, result.stdout + result.stderr);
  return parseCounts(result.stdout);
}

function podsWith(splice: string): { name: string; annotations: Record<string, string> }[] {
  return ['client', 'server'].map((name) => ({
    name,
    annotations: { 'podwire.io/splice': splice },
  }));
}

for (const messageBytes of [65_536, 64]) {
  test(`5,000 unread connections, messages of ${messageBytes} bytes`, { skip }, async (t) => {
    const plainMesh = createMesh(t, { pods: podsWith('never') });
    await startAgent({ mesh: plainMesh });
    const plain = await idle(plainMesh, messageBytes);
    await plainMesh.close();

    const mesh = createMesh(t, { pods: podsWith('always') });
    await startAgent({ mesh });
    const spliced = await idle(mesh, messageBytes);
    t.diagnostic(`plain ${JSON.stringify(plain)}`);
    t.diagnostic(`spliced ${JSON.stringify(spliced)}`);
    const kernelMib = (counts: Counts): number =>
      (counts['slab_mib'] ?? NaN) + (counts['tcp_mib'] ?? NaN);
    const redirected = spliced['redirected_mib'] ?? NaN;
    assert.ok(redirected > 0, 'nothing was redirected');
    assert.ok(redirected < BUDGET_MIB, `${redirected} MiB are queued by redirection`);
    const above = kernelMib(spliced) - kernelMib(plain);
    assert.ok(above < BUDGET_MIB, `${above} MiB of kernel memory above plain TCP`);
  });
}
