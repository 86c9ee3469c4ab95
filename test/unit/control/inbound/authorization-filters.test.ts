/**
 * AuthorizationPolicies as filters decide what the policies say, and the kernel's half never lets through what they refuse.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { evaluate } from '../../../../src/compile/kernel/policy/evaluate.ts';
import { readMeshConfig } from '../../../../src/control/mesh-config.ts';
import {
  authorizationFilters,
  type AppliedPolicies,
} from '../../../../src/control/translate/l7/inbound/authorization-filters.ts';
import { needsRequests } from '../../../../src/control/translate/l7/inbound/request-policy.ts';
import { authorizationMessage } from '../../../../src/control/translate/authorization.ts';
import { translateOptions } from '../../../../src/control/translate/options.ts';
import { parseIp } from '../../../../src/model/ip.ts';
import { SPIFFE_SCHEME } from '../../../../src/model/identity.ts';
import {
  enforcedPolicy,
  l4Policy,
  policy,
  request,
  type TestPolicy,
} from './policy-arbitraries.ts';
import { decide } from './policy-reference.ts';
import { answer } from './rbac-evaluator.ts';
import type { TestRequest } from './request.ts';

const SEED = Number(process.env['PODWIRE_TEST_SEED'] ?? 7);
const RUNS = { seed: SEED, numRuns: 1000, endOnFailure: true };
const OPTIONS = translateOptions({ clusterId: 'c', trustDomain: 'cluster.local' });
const { config: mesh } = readMeshConfig(
  'extensionProviders: [{ name: gate, envoyExtAuthzGrpc: { service: gate.shop.svc, port: 9000 } }]',
  'mesh.yaml',
);

const everywhere = (policies: readonly TestPolicy[]): AppliedPolicies => ({
  everywhere: policies.map(({ resource }) => resource),
  byService: new Map(),
});
const requests = fc.array(request, { minLength: 8, maxLength: 8 });

test('filters decide what the policies say', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(policy, { maxLength: 3 }), requests, (policies, all) => {
      const { filters } = authorizationFilters(everywhere(policies), mesh);
      for (const one of all) {
        const wanted = decide(policies, one);
        const { allowed, asked, logged } = answer(filters, one);
        assert.deepEqual({ allowed, asks: asked.length > 0, logs: logged }, wanted);
        seen.add(JSON.stringify(wanted));
      }
    }),
    RUNS,
  );
  assert.ok(seen.size >= 5, [...seen].join());
});

test('the kernel lets nothing through that a request could be refused for', () => {
  let passed = 0;
  fc.assert(
    fc.property(fc.array(policy, { minLength: 1, maxLength: 3 }), requests, (policies, all) => {
      for (const one of all) {
        if (!kernelAllows(policies, one)) continue;
        passed++;
        const { allowed, asks } = decide(policies, one);
        assert.deepEqual({ allowed, asks }, { allowed: true, asks: false });
      }
    }),
    RUNS,
  );
  assert.ok(passed > 500, `${passed}`);
});

test('where no policy needs requests both halves say the same', () => {
  let same = 0;
  fc.assert(
    fc.property(
      fc.array(fc.oneof(l4Policy, enforcedPolicy), { minLength: 1, maxLength: 3 }),
      requests,
      (policies, all) => {
        for (const one of all) {
          if (policies.some(({ resource }) => needsRequests(resource, one.port))) continue;
          same++;
          assert.equal(kernelAllows(policies, one), decide(policies, one).allowed);
        }
      },
    ),
    RUNS,
  );
  assert.ok(same > 1000, `${same}`);
});

function kernelAllows(policies: readonly TestPolicy[], one: TestRequest): boolean {
  const messages = policies
    .filter(({ spec }) => spec.action !== 'AUDIT')
    .map(({ resource }) => authorizationMessage(resource, OPTIONS));
  return evaluate(messages, {
    sourceIdentity: one.principal && SPIFFE_SCHEME + one.principal,
    sourceAddr: parseIp(one.ip)!,
    destAddr: parseIp(one.destinationIp)!,
    destPort: one.port,
  }).allowed;
}
