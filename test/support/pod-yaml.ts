/** A pod of the bench or the demo as a document of its agent's config folder. */
export interface YamlPod {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  /** name under /run/netns; undefined: on another node, captured there */
  readonly netns: string | undefined;
  /** present: the pod's own agent speaks HBONE, wherever it is */
  readonly nodeName?: string;
}

/** Its image is named like the namespace. */
export function podYaml({ name, namespace, address, netns, nodeName }: YamlPod): string {
  const annotations = [
    ...(nodeName === undefined ? [] : ['ambient.istio.io/redirection: enabled']),
    ...(netns === undefined ? [] : [`podwire.io/netns: ${netns}`]),
  ];
  return `apiVersion: v1
kind: Pod
metadata:
  name: ${name}
  namespace: ${namespace}
  labels:
    app: ${name}
  annotations:
${annotations.map((line) => `    ${line}\n`).join('')}spec:
${nodeName === undefined ? '' : `  nodeName: ${nodeName}\n`}  serviceAccountName: ${name}
  containers:
    - name: ${name}
      image: ${namespace}
status:
  podIPs:
    - ip: ${address}
`;
}
