/**
 * Classes of workloads: those that the same policies protect in the same way share their listeners.
 *
 * A class is named by what applies, not by what that says: when a policy is edited its listeners change and nobody moves.
 */
import { createHash } from 'node:crypto';
import type { AppliedPolicies, Policy } from './authorization-filters.ts';
import {
  resourceKey,
  targetOf,
  type AppliedResources,
  type InboundResource,
} from './policy-catalog.ts';
import { needsRequests } from './request-policy.ts';
import { mayBeHttp, type InboundPort, type InboundWorkload } from './workload-ports.ts';

export interface InboundClass {
  /** "<namespace>/<hash>", as in the names of its listeners */
  readonly name: string;
  /** ports with a listener */
  readonly ports: ReadonlyMap<number, InboundPort>;
  readonly resources: AppliedResources;
}

/** What the workload's own message carries: the class of its listeners; "": it has none. */
export function inboundClassOf(workload: InboundWorkload, applied: AppliedResources): string {
  return inboundClass(workload, applied)?.name ?? '';
}

/** undefined: nothing that applies needs requests to be seen */
export function inboundClass(
  workload: InboundWorkload,
  resources: AppliedResources,
): InboundClass | undefined {
  const ports = new Map(
    [...workload.ports]
      .filter(([number, port]) => mayBeHttp(port) && isNeeded(resources, number, port))
      .sort(([a], [b]) => a - b),
  );
  if (ports.size === 0) return undefined;
  const text = JSON.stringify([
    [...keysOf(resources)],
    [...ports].map(([number, { protocol, services }]) => [
      number,
      protocol,
      services.filter((service) => isAttachedTo(resources, service)).length > 0 ? services : [],
    ]),
  ]);
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  return { name: `${workload.namespace}/${hash}`, ports, resources };
}

/** Of what the listeners are made from. */
export function keysOf({ policies, tokens, telemetry }: AppliedResources): Set<string> {
  return new Set([...policies, ...tokens, ...telemetry].map(resourceKey));
}

export function policiesAt({ policies }: AppliedResources, port: InboundPort): AppliedPolicies {
  const everywhere = policies.filter((policy) => targetOf(policy).services === undefined);
  const byService = new Map(
    port.services.map((service): [string, Policy[]] => [
      service,
      policies.filter((policy) => targetOf(policy).services?.includes(service)),
    ]),
  );
  const isAttached = [...byService.values()].some((list) => list.length > 0);
  return { everywhere, byService: isAttached ? byService : new Map() };
}

/** Whether it applies to what comes to the port, as far as that is decided by Services. */
export function isAt(resource: InboundResource, { services }: InboundPort): boolean {
  const attached = targetOf(resource).services;
  return attached === undefined || attached.some((name) => services.includes(name));
}

function isNeeded(
  { policies, tokens }: AppliedResources,
  number: number,
  port: InboundPort,
): boolean {
  return (
    tokens.some((found) => (found.spec.jwtRules ?? []).length > 0 && isAt(found, port)) ||
    policies.some((found) => isAt(found, port) && needsRequests(found, number))
  );
}

function isAttachedTo({ policies, tokens }: AppliedResources, service: string): boolean {
  return [...policies, ...tokens].some((found) => targetOf(found).services?.includes(service));
}
