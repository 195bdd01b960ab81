/** `blobferry verify`. */
import { ConfigError } from '../core/errors.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import { storageName } from '../drivers/spec-name.ts';
import { DigestIndex } from '../layout/digests/digest-index.ts';
import { detectSource } from '../layout/find-registry.ts';
import { keyPrefixOf, keyRuleText, overlapOf } from '../layout/key-rule.ts';
import type { Layout } from '../layout/layout.ts';
import { type VerifySummary, verifyExitCodeOf } from '../verify/summary.ts';
import type { VerifyProgress } from '../verify/tally.ts';
import { runVerify } from '../verify/verify.ts';
import { openDriverTelling } from './composition.ts';
import type { CommandContext } from './context.ts';
import { demandIds, withDigests } from './digests.ts';
import { keepHeapSmall } from './heap.ts';
import { jsonLine } from './json.ts';
import type { VerifyArguments } from './program.ts';
import { Progress, type ProgressReading } from './progress.ts';
import { readStorages, type Storages } from './storages.ts';
import { printable } from './text.ts';
import { verifyReading } from './verify-progress.ts';
import { verifySummaryText } from './verify-summary.ts';

export async function runVerifyCommand(given: VerifyArguments, context: CommandContext): Promise<number> {
  keepHeapSmall();
  const storages = await readStorages(given, context);
  const { source, target } = storages;
  if ((await overlapOf(source, target)) === 'same') {
    throw new ConfigError(`Source and target are the same storage, ${storageName(source)}`, {
      hint: 'Everything equals itself: give the storage that was copied to with --to',
    });
  }
  const openDriver = openDriverTelling((sentence) => context.output.say(`warning: ${printable(sentence)}`));
  const from = await openDriver({ storage: source, engine: 'direct' }, 'source');
  try {
    // Only read, so that a target on a file system mounted read-only can be verified.
    const to = await openDriver({ storage: target, engine: 'direct' }, 'source');
    try {
      return await verify({ storages, from, to }, given, context);
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

interface Opened {
  readonly storages: Storages;
  readonly from: StorageDriver;
  readonly to: StorageDriver;
}

async function verify(opened: Opened, given: VerifyArguments, context: CommandContext): Promise<number> {
  const { output, signal } = context;
  const { from, to, storages } = opened;
  const found = await detectSource(from, { signal }, storages.source, given.layout);
  const { layout, reason, warnings } = found;
  if (!given.json) {
    output.say(`comparing ${to.name} with ${from.name}, layout ${layout.name} (${reason})`);
    output.say(printable(keyRulesText(storages)));
  }
  for (const warning of warnings) output.say(`warning: source: ${printable(warning)}`);
  const summary = await compareWithRows(opened, layout, given, context);
  if (given.json) output.print(jsonLine(summary));
  else output.print(verifySummaryText(summary, given, output.paint));
  return verifyExitCodeOf(summary);
}

function keyRulesText({ source, target }: Storages): string {
  return `source: ${keyRuleText(source)}; target: ${keyRuleText(target)}`;
}

async function compareWithRows(
  opened: Opened,
  layout: Layout,
  given: VerifyArguments,
  context: CommandContext,
): Promise<VerifySummary> {
  if (given.digests === undefined) return await compare({ ...opened, layout }, given, context);
  demandIds(layout.name, opened.from.name);
  return await withDigests(given.digests, context, async (path) => {
    const digests = await DigestIndex.open(path);
    try {
      return await compare({ ...opened, layout, digests }, given, context);
    } finally {
      await digests.close();
    }
  });
}

async function compare(
  {
    storages,
    from,
    to,
    layout,
    digests,
  }: Opened & { readonly layout: Layout; readonly digests?: DigestIndex },
  given: VerifyArguments,
  { output, signal }: CommandContext,
): Promise<VerifySummary> {
  let reading: ProgressReading = verifyReading(undefined);
  const progress = new Progress({
    output,
    read: () => reading,
    ...(given.json ? { onReading: (now) => output.print(jsonLine({ event: 'progress', ...now })) } : {}),
  });
  progress.start();
  try {
    return await runVerify({
      source: from,
      target: to,
      sourcePrefix: keyPrefixOf(storages.source),
      targetPrefix: keyPrefixOf(storages.target),
      layout,
      isDeep: given.deep === true,
      allowExtra: given.allowExtra === true,
      ...(digests ? { digests } : {}),
      signal,
      ...(given.memory === undefined ? {} : { memoryBytes: given.memory }),
      onProgress: (now: VerifyProgress) => {
        reading = verifyReading(now);
      },
      ...(given.json
        ? { onException: (exception) => output.print(jsonLine({ event: 'exception', ...exception })) }
        : {}),
    });
  } finally {
    progress.stop();
  }
}
