/**
 * What is said about the Services of one namespace: a selector that selects nothing, a named port that pods lack, an
 * EndpointSlice of no Service.  Found again only when something in the namespace has changed: the mesh is asked after every
 * change, and has many namespaces.
 */
import type { Finding } from '../../model/finding.ts';
import type { EndpointSliceResource, ServiceResource } from '../../model/resource.ts';
import type { EndpointIndex } from './endpoint-index.ts';
import { matchesNothing, serviceUnknown, targetPortUnknown } from './findings.ts';
import type { PodIndex } from './pod-index.ts';
import type { Tally } from './tally.ts';

/** The namespace's own indexes, as they stand. */
export interface ServiceFindingsInput {
  readonly pods: PodIndex;
  readonly services: ReadonlyMap<string, ServiceResource>;
  readonly slices: EndpointIndex;
  readonly sliceList: ReadonlySet<EndpointSliceResource>;
  /** Services whose named target port a pod lacks */
  readonly unresolved: Tally<ServiceResource>;
}

export class ServiceFindings {
  readonly #input: ServiceFindingsInput;
  #found: readonly Finding[] | undefined;

  constructor(input: ServiceFindingsInput) {
    this.#input = input;
  }

  /** Something in the namespace is not what it was. */
  invalidate(): void {
    this.#found = undefined;
  }

  list(): readonly Finding[] {
    this.#found ??= this.#find();
    return this.#found;
  }

  #find(): Finding[] {
    const { services, sliceList } = this.#input;
    const findings = [...services.values()].flatMap((service) => this.#check(service));
    for (const slice of sliceList) {
      if (!services.has(slice.service)) findings.push(serviceUnknown(slice));
    }
    return findings;
  }

  #check(service: ServiceResource): Finding[] {
    const { pods, slices, unresolved } = this.#input;
    if (slices.has(service.name) || service.selector === undefined) return [];
    const findings: Finding[] = [];
    const [selected] = pods.selected(service.selector);
    if (selected === undefined) findings.push(matchesNothing(service, 'spec.selector'));
    const lacking = unresolved.count(service);
    if (lacking > 0) findings.push(targetPortUnknown(service, lacking));
    return findings;
  }
}
