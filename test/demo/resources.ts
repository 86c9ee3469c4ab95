/**
 * What the agent is told: Kubernetes YAML for the two pods, a Service in front of the server, and the policy that is
 * saved later.
 */
import { podYaml } from '../support/pod-yaml.ts';
import type { Pod } from './ground.ts';

export const NAMESPACE = 'demo';

export function meshYaml(input: {
  readonly client: Pod;
  readonly server: Pod;
  readonly serverPort: number;
  readonly serviceIp: string;
  readonly servicePort: number;
}): string {
  const { client, server, serverPort, serviceIp, servicePort } = input;
  const pods = [client, server].map((pod) => podYaml({ ...pod, namespace: NAMESPACE }));
  return `${pods.join('---\n')}---
apiVersion: v1
kind: Service
metadata:
  name: server
  namespace: ${NAMESPACE}
spec:
  clusterIP: ${serviceIp}
  selector:
    app: server
  ports:
    - port: ${servicePort}
      targetPort: ${serverPort}
`;
}

export const POLICY_YAML = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: no-client
  namespace: ${NAMESPACE}
spec:
  selector:
    matchLabels:
      app: server
  action: DENY
  rules:
    - from:
        - source:
            principals: [cluster.local/ns/${NAMESPACE}/sa/client]
`;
