/** What the rules of a target bucket do to what is written there, a sentence each. Asked of S3 services alone. */
import { isStorageError } from '../../core/errors.ts';
import { textOf } from '../../drivers/http/xml.ts';
import { S3Client } from '../../drivers/s3/s3-client.ts';
import type { S3Spec, StorageSpec } from '../../drivers/spec.ts';
import { storageName } from '../../drivers/spec-name.ts';

type Rule = 'versioning' | 'lifecycle' | 'object-lock';

const RULES: readonly Rule[] = ['versioning', 'lifecycle', 'object-lock'];
/** No such configuration; and of services that do not know the question. */
const NONE = [404, 400, 405, 501];
const ANSWER_CHARACTERS_MAX = 1024 * 1024;

/** @returns undefined where it was not asked: no S3, or no credentials are known here. */
export async function bucketRules(
  storage: StorageSpec,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  if (storage.kind !== 's3' || !storage.credentials) return undefined;
  const client = new S3Client(storage, { name: storageName(storage), credentials: storage.credentials });
  try {
    const found: string[] = [];
    for (const rule of RULES) {
      const said = await ask(client, storage, rule, signal);
      if (said !== undefined) found.push(said);
    }
    return found;
  } finally {
    client.close();
  }
}

async function ask(
  client: S3Client,
  { bucket }: S3Spec,
  rule: Rule,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const query = [[rule, '']] as const;
    const answer = await client.send({ signal }, { method: 'GET', operation: 'read', query, accepts: NONE });
    if (answer.status !== 200) return undefined;
    return ruleText(rule, answer.body.toString('utf8', 0, ANSWER_CHARACTERS_MAX));
  } catch (error) {
    signal.throwIfAborted();
    if (!isStorageError(error)) throw error;
    return `Whether bucket ${bucket} has rules for ${rule} could not be asked: ${error.message}`;
  }
}

/** @param xml the service's answer. @returns undefined where nothing is in force. */
export function ruleText(rule: Rule, xml: string): string | undefined {
  if (rule === 'versioning') {
    const status = textOf(xml, 'Status');
    if (status === 'Enabled')
      return 'Versioning is enabled: whatever is replaced or removed stays as an older version, and is paid for';
    return status === 'Suspended'
      ? 'Versioning is suspended: older versions stay until they are removed'
      : undefined;
  }
  if (rule === 'object-lock') {
    if (textOf(xml, 'ObjectLockEnabled') !== 'Enabled') return undefined;
    const mode = textOf(xml, 'Mode');
    const retention = mode === undefined ? '' : `, by default in mode ${mode}`;
    return `Object lock is enabled${retention}: versions cannot be removed before their retention ends`;
  }
  return lifecycleText(xml);
}

/** What a lifecycle rule does, by the element that says so. */
const ACTIONS = [
  ['Expiration', 'remove objects'],
  ['NoncurrentVersionExpiration', 'remove older versions'],
  ['Transition', 'move objects to other classes'],
  ['AbortIncompleteMultipartUpload', 'abort unfinished uploads'],
] as const;

function lifecycleText(xml: string): string | undefined {
  const enabled = xml
    .split('<Rule>')
    .slice(1)
    .filter((rule) => textOf(rule, 'Status') === 'Enabled');
  if (enabled.length === 0) return undefined;
  const does = ACTIONS.filter(([name]) => enabled.some((rule) => rule.includes(`<${name}>`)));
  const what = does.length === 0 ? 'do what is not known here' : does.map(([, text]) => text).join(', ');
  const rules =
    enabled.length === 1
      ? 'A lifecycle rule is enabled: it may'
      : `${enabled.length} lifecycle rules are enabled: they may`;
  return `${rules} ${what}; a registry misses whatever is removed or archived`;
}
