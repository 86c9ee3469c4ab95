/**
 * envoy.config.route.v3.RateLimit ↔ RateLimitDescriptor: what a request is counted under.
 */
import type { RateLimitAction, RateLimitDescriptor } from '../../model/route.ts';
import type { WireRateLimit, WireRateLimitInput } from '../codec-envoy.ts';
import { headersFromWire, headerToWire } from './matcher.ts';
import type { Reading } from './reading.ts';

const GENERIC_KEY = 'generic_key';
const HEADER_MATCH = 'header_match';

type WireAction = WireRateLimit['actions'][number];
type WireActionInput = NonNullable<WireRateLimitInput['actions']>[number];

export function descriptorToWire({ stage, actions }: RateLimitDescriptor): WireRateLimitInput {
  return { stage: { value: stage }, actions: actions.map(actionToWire) };
}

/** Under fewer keys a request would be counted together with others: an unknown one refuses the resource. */
export function descriptorsFromWire(
  list: readonly WireRateLimit[],
  path: string,
  reading: Reading,
): RateLimitDescriptor[] {
  return list.map(({ stage, actions }, index) => ({
    stage: stage?.value ?? 0,
    actions: actions.flatMap((action, at) =>
      actionFromWire(action, `${path}[${index}].actions[${at}]`, reading),
    ),
  }));
}

function actionToWire(action: RateLimitAction): WireActionInput {
  switch (action.type) {
    case 'source-cluster':
      return { source_cluster: {} };
    case 'destination-cluster':
      return { destination_cluster: {} };
    case 'remote-address':
      return { remote_address: {} };
    case 'header': {
      const { header, key, skipIfAbsent } = action;
      return {
        request_headers: {
          header_name: header,
          descriptor_key: key,
          skip_if_absent: skipIfAbsent,
        },
      };
    }
    case 'generic':
      return { generic_key: { descriptor_key: action.key, descriptor_value: action.value } };
    case 'header-match':
      return {
        header_value_match: {
          descriptor_key: action.key,
          descriptor_value: action.value,
          expect_match: { value: action.expect },
          headers: action.headers.map(headerToWire),
        },
      };
  }
}

function actionFromWire(wire: WireAction, path: string, reading: Reading): RateLimitAction[] {
  switch (wire.action_specifier) {
    case 'source_cluster':
      return [{ type: 'source-cluster' }];
    case 'destination_cluster':
      return [{ type: 'destination-cluster' }];
    case 'remote_address':
      return [{ type: 'remote-address' }];
    case 'request_headers': {
      const { header_name, descriptor_key, skip_if_absent } = wire.request_headers!;
      const header = header_name.toLowerCase();
      return [{ type: 'header', header, key: descriptor_key, skipIfAbsent: skip_if_absent }];
    }
    case 'generic_key': {
      const { descriptor_key, descriptor_value } = wire.generic_key!;
      return [{ type: 'generic', key: descriptor_key || GENERIC_KEY, value: descriptor_value }];
    }
    case 'header_value_match': {
      const { descriptor_key, descriptor_value, expect_match, headers } = wire.header_value_match!;
      return [
        {
          type: 'header-match',
          key: descriptor_key || HEADER_MATCH,
          value: descriptor_value,
          expect: expect_match?.value ?? true,
          headers: headersFromWire(headers, `${path}.header_value_match.headers`, reading),
        },
      ];
    }
    default:
      reading.error(path, 'has no kind of action that is known');
      return [];
  }
}
