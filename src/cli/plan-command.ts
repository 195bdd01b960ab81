/** `blobferry plan`. */
import { findArchived, refuseArchived, selfTieringText } from '../coordinator/archived.ts';
import { identityOf } from '../coordinator/coordinator.ts';
import { defaultMemoryBytes } from '../coordinator/memory.ts';
import { peekOwnsTarget } from '../coordinator/peek-journal.ts';
import { refuseOverlap } from '../coordinator/preflight.ts';
import { expectedServerSide } from '../coordinator/server-side.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import type { StorageSpec } from '../drivers/spec.ts';
import { detectSource } from '../layout/find-registry.ts';
import { keyPrefixOf, keyRuleText } from '../layout/key-rule.ts';
import type { Prices } from '../plan/cost.ts';
import { runPlan } from '../plan/plan.ts';
import { type PlanSummary, planExitCodeOf } from '../plan/summary.ts';
import { absentTarget } from './absent-target.ts';
import { openDriver } from './composition.ts';
import type { CommandContext } from './context.ts';
import { keepHeapSmall } from './heap.ts';
import { jsonLine } from './json.ts';
import { keyRuleOf } from './key-limits.ts';
import { planReading } from './plan-progress.ts';
import { planSummaryText } from './plan-summary.ts';
import { readPricesFile } from './prices-file.ts';
import { isYetToBeMade } from './probe.ts';
import type { PlanArguments } from './program.ts';
import { Progress, type ProgressReading } from './progress.ts';
import { defaultJournalFolder, readStorages, type Storages } from './storages.ts';
import { printable } from './text.ts';

export async function runPlanCommand(given: PlanArguments, context: CommandContext): Promise<number> {
  keepHeapSmall();
  const prices = given.prices === undefined ? undefined : await readPricesFile(given.prices);
  const storages = await readStorages(given, context);
  await refuseOverlap(storages.source, storages.target);
  const from = await openDriver({ storage: storages.source, engine: 'direct' }, 'source');
  try {
    const to = await openTarget(storages.target);
    try {
      const summary = await plan({ storages, from, to, prices }, given, context);
      if (given.json) context.output.print(jsonLine(summary));
      else context.output.print(planSummaryText(summary, given, context.output.paint));
      return planExitCodeOf(summary);
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
  readonly prices: Prices | undefined;
}

/** For reading only: a folder that a copy would make is not made. */
async function openTarget(storage: StorageSpec): Promise<StorageDriver> {
  try {
    return await openDriver({ storage, engine: 'direct' }, 'source');
  } catch (error) {
    if (storage.kind === 'fs' && (await isYetToBeMade(storage, error))) return absentTarget(storage);
    throw error;
  }
}

async function plan(
  { storages, from, to, prices }: Opened,
  given: PlanArguments,
  { output, env, signal }: CommandContext,
): Promise<PlanSummary> {
  const journal = given.journal ?? defaultJournalFolder(storages, given.layout, env);
  const sourcePrefix = keyPrefixOf(storages.source);
  let reading: ProgressReading = planReading(undefined);
  const progress = new Progress({
    output,
    read: () => reading,
    ...(given.json ? { onReading: (now) => output.print(jsonLine({ event: 'progress', ...now })) } : {}),
  });
  progress.start();
  try {
    return await runPlan({
      source: from,
      target: to,
      sourcePrefix,
      targetPrefix: keyPrefixOf(storages.target),
      keyRules: { source: keyRuleText(storages.source), target: keyRuleText(storages.target) },
      detect: async (source, ctx) => {
        const found = await detectSource(source, ctx, storages.source, given.layout);
        const { layout, reason, warnings } = found;
        for (const warning of warnings) output.say(`warning: source: ${printable(warning)}`);
        if (!given.json) output.say(`${from.name} → ${to.name}, layout ${layout.name} (${reason})`);
        return layout;
      },
      refuseUnreadable: async ({ source, target }, layout, ctx) => {
        const archived = await findArchived(ctx, {
          source,
          storage: storages.source,
          sourcePrefix,
          layout,
          threads: given.threads,
          target: { driver: target, keyPrefix: keyPrefixOf(storages.target) },
        });
        refuseArchived(source, archived);
        const warning = archived && selfTieringText(archived);
        return warning === undefined ? [] : [`source: ${warning}`];
      },
      ownedBefore: (layout) => peekOwnsTarget(journal, identityOf(storages, layout)),
      serverSide: (layout, ctx) =>
        expectedServerSide(ctx, {
          ...storages,
          serverSide: given.serverSide,
          layout,
          from,
          sourcePrefix,
          openDriver,
        }),
      whyInvalidKey: await keyRuleOf(storages.target),
      threads: given.threads,
      memoryBytes: given.memory ?? defaultMemoryBytes(given.threads),
      partBytes: given.partSize,
      sampleBytes: given.sample,
      ...(prices ? { prices } : {}),
      signal,
      onProgress: (now) => {
        reading = planReading(now);
      },
    });
  } finally {
    progress.stop();
  }
}
