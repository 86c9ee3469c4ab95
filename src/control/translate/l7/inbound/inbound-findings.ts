/**
 * What validation of one resource alone does not see: providers that the mesh does not have, and conditions that cannot be
 * checked per request either.
 */
import type { Finding } from '../../../../model/finding.ts';
import type { MeshConfig } from '../../../mesh-config.ts';
import { describe, type Problem } from '../../../validate/fields.ts';
import { actionOf, rulesOf, type Policy } from './authorization-filters.ts';
import type { InboundResource } from './policy-catalog.ts';
import { jwtProblems } from './request-authentication.ts';
import { telemetryProblems } from './telemetry.ts';

export function inboundFindings(resource: InboundResource, mesh: MeshConfig): Finding[] {
  return problemsOf(resource, mesh).map(({ severity = 'error', ...problem }) => ({
    ...problem,
    severity,
    file: resource.file,
    resource: resource.id,
  }));
}

function problemsOf(resource: InboundResource, mesh: MeshConfig): readonly Problem[] {
  switch (resource.kind) {
    case 'AuthorizationPolicy':
      return policyProblems(resource, mesh);
    case 'RequestAuthentication':
      return jwtProblems(resource);
    case 'Telemetry':
      return telemetryProblems(resource, mesh);
  }
}

function policyProblems(policy: Policy, mesh: MeshConfig): Problem[] {
  const problems: Problem[] = [];
  rulesOf(policy, (problem) => problems.push(problem));
  if (actionOf(policy) !== 'CUSTOM') return problems;
  const name = policy.l7?.provider?.name ?? '';
  const provider = mesh.providers.get(name);
  if (provider?.type === 'ext-authz') return problems;
  const what =
    provider === undefined ? 'is no extension provider of the mesh' : 'cannot be asked for access';
  problems.push({
    code: 'PROVIDER_UNKNOWN',
    path: 'spec.provider.name',
    message: `${describe(name)} ${what}; requests that match the policy are denied`,
    fix: 'add it to meshConfig.extensionProviders as envoyExtAuthzGrpc or envoyExtAuthzHttp',
  });
  return problems;
}
