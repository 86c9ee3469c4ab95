/** A pod of the bench or the demo as a document of its agent's config folder. */
export interface YamlPod {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  /** name under /run/netns */
  readonly netns: string;
}

/** Its image is named like the namespace. */
export function podYaml({ name, namespace, address, netns }: YamlPod): string {
  return `apiVersion: v1
kind: Pod
metadata:
  name: ${name}
  namespace: ${namespace}
  labels:
    app: ${name}
  annotations:
    podwire.io/netns: ${netns}
spec:
  serviceAccountName: ${name}
  containers:
    - name: ${name}
      image: ${namespace}
status:
  podIPs:
    - ip: ${address}
`;
}
