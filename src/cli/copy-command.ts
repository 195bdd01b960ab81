/** `blobferry copy`. */
import { resolve } from 'node:path';
import { runCopy } from '../coordinator/coordinator.ts';
import { refuseLiveDeletion } from '../coordinator/delete-extra.ts';
import { DELETE_MAX_DEFAULT } from '../coordinator/extras.ts';
import { defaultMemoryBytes } from '../coordinator/memory.ts';
import { ConfigError } from '../core/errors.ts';
import type { CopyEvent } from '../core/events.ts';
import { type CopyOptions, type CopySummary, exitCodeOf } from '../core/job.ts';
import { demandSdkEngine } from '../drivers/engine.ts';
import type { StorageSpec } from '../drivers/spec.ts';
import { detectSource } from '../layout/find-registry.ts';
import type { CopyMetrics } from '../metrics/copy-metrics.ts';
import type { MetricsServer } from '../metrics/metrics-server.ts';
import { openDriverTelling, tokenDeskOf } from './composition.ts';
import type { CommandContext } from './context.ts';
import { CopyProgress } from './copy-progress.ts';
import { demandIds, withDigests } from './digests.ts';
import { keepHeapSmall } from './heap.ts';
import { jsonLine } from './json.ts';
import { outageLine } from './outage-text.ts';
import { WORKER_URL } from './own-files.ts';
import type { CopyArguments } from './program.ts';
import { Progress } from './progress.ts';
import { defaultJournalFolder, readStorages, type Storages, withOwnership } from './storages.ts';
import { copySummaryText } from './summary.ts';
import { printable } from './text.ts';
import { formatObjects, formatTime } from './units.ts';

export async function runCopyCommand(given: CopyArguments, context: CommandContext): Promise<number> {
  if (given.metricsHost !== undefined && given.metricsPort === undefined) {
    throw new ConfigError('--metrics-host says where metrics are served, and needs --metrics-port');
  }
  demandDeletable(given);
  // The names of what is to be removed are held on this thread.
  if (given.deleteExtra) keepHeapSmall();
  const { source, target: plainTarget } = await readStorages(given, context);
  demandSdkEngine(given.engine, [source, plainTarget]);
  const storages: Storages = { source, target: withOwnership(plainTarget, given) };
  if (given.digests === undefined) return await serveAndCopy(storages, given, context);
  await demandIdsIn(source, given, context);
  return await withDigests(given.digests, context, (digests) =>
    serveAndCopy(storages, { ...given, digests }, context),
  );
}

async function demandIdsIn(
  source: StorageSpec,
  { layout: choice }: CopyArguments,
  { signal, output }: CommandContext,
): Promise<void> {
  const open = openDriverTelling((sentence) => output.say(`warning: ${printable(sentence)}`));
  const driver = await open({ storage: source, engine: 'direct' }, 'source');
  try {
    const { layout } = await detectSource(driver, { signal }, source, choice);
    demandIds(layout.name, driver.name);
  } finally {
    await driver.close();
  }
}

/** @param given with the index of the digests where the backup was. */
async function serveAndCopy(
  storages: Storages,
  given: CopyArguments,
  context: CommandContext,
): Promise<number> {
  const backends = { source: storages.source.kind, target: storages.target.kind };
  const served = await serveMetrics(backends, given, context);
  try {
    const summary = await copy(storages, given, context, served?.metrics);
    if (given.json) context.output.print(jsonLine(summary));
    else context.output.print(copySummaryText(summary, given, context.output.paint));
    return exitCodeOf(summary);
  } finally {
    await served?.server.close();
  }
}

/** Said before anything is opened, as what is wrong is the command. */
function demandDeletable({ deleteExtra, maxDelete, frozen }: CopyArguments): void {
  if (deleteExtra) refuseLiveDeletion(frozen === true);
  else if (maxDelete !== undefined) {
    throw new ConfigError('--max-delete limits what --delete-extra removes, and needs it');
  }
}

async function copy(
  storages: Storages,
  given: CopyArguments,
  { output, env, signal }: CommandContext,
  metrics: CopyMetrics | undefined,
): Promise<CopySummary> {
  const state = new CopyProgress();
  const progress = new Progress({
    output,
    read: () => state.read(),
    ...(given.json
      ? { onReading: (reading) => output.print(jsonLine({ event: 'progress', ...reading })) }
      : {}),
  });
  const hear = (event: CopyEvent): void => {
    const change = state.hear(event);
    metrics?.onEvent(event);
    if (given.json) output.print(jsonLine(event));
    if (!given.json || event.event === 'warning') tell(event, output.say.bind(output));
    if (!given.json && change) output.say(printable(outageLine(change, given.outageLimit)));
  };
  progress.start();
  try {
    return await runCopy(
      { ...storages, options: copyOptions(given, defaultJournalFolder(storages, given.layout, env)) },
      {
        openDriver: openDriverTelling((sentence, side) => {
          hear({ event: 'warning', message: `${side}: ${sentence}` });
        }),
        tokenDeskOf,
        workerUrl: WORKER_URL,
        signal,
        onEvent: hear,
        onCounters: (counters) => {
          state.useCounters(counters);
          metrics?.useCounters(counters);
        },
        onFlows: (read) => metrics?.useFlows(read),
      },
    );
  } finally {
    progress.stop();
  }
}

function copyOptions(given: CopyArguments, journalFolder: string): CopyOptions {
  return {
    layout: given.layout,
    isFrozen: given.frozen === true,
    threads: given.threads,
    concurrency: given.concurrency,
    partBytes: given.partSize,
    memoryBytes: given.memory ?? defaultMemoryBytes(given.threads),
    ...(given.bandwidth === undefined ? {} : { bandwidthBytesPerSecond: given.bandwidth }),
    ...(given.requests === undefined ? {} : { requestsPerSecond: given.requests }),
    engine: given.engine,
    serverSide: given.serverSide,
    ...(given.digests === undefined ? {} : { digests: given.digests }),
    readsTwice: given.readTwice === true,
    readsBack: given.readBack === true,
    intoNonempty: given.intoNonempty === true,
    keepGoing: given.keepGoing === true,
    deletesExtra: given.deleteExtra === true,
    deleteMax: given.maxDelete ?? DELETE_MAX_DEFAULT,
    abortsUploads: given.abortUploads === true,
    outageMsMax: given.outageLimit,
    journalDirectory: resolve(given.journal ?? journalFolder),
  };
}

/** Events worth a line for people; shards and sums are the progress display's. */
function tell(event: CopyEvent, say: (line: string) => void): void {
  if (event.event === 'started') {
    const { source, target, layout, keyRules } = event;
    say(`${source} → ${target}, layout ${layout}`);
    say(printable(`source: ${keyRules.source}; target: ${keyRules.target}`));
  }
  if (event.event === 'checking') say(`listing the source for ${event.what} first`);
  if (event.event === 'interrupted') say(interruptedText(event));
  if (event.event === 'deleting') {
    say(`removing ${formatObjects(event.objects)} from the target that the source no longer has`);
  }
  if (event.event === 'bound') say(`target check: ${event.binding}`);
  if (event.event === 'server-side' && event.way !== 'none') say(`server-side copy: ${event.why}`);
  if (event.event === 'warning') say(`warning: ${printable(event.message)}`);
}

function interruptedText(event: Extract<CopyEvent, { readonly event: 'interrupted' }>): string {
  const { beganMs, lastSignMs, shardsDone, shards } = event;
  const reached = shards === 0 ? 'no shard begun' : `${shardsDone} of ${shards} shards done`;
  const times = `began ${formatTime(beganMs)}, last sign ${formatTime(lastSignMs)}`;
  return `the last run of this job was interrupted (${times}; ${reached}); what it copied is found equal`;
}

interface ServedMetrics {
  readonly metrics: CopyMetrics;
  readonly server: MetricsServer;
}

/** prom-client is 12 MB of memory, which a run that nobody scrapes does not load. */
async function serveMetrics(
  backends: { readonly source: string; readonly target: string },
  { metricsPort: port, metricsHost: host = '127.0.0.1', json }: CopyArguments,
  { output, version }: CommandContext,
): Promise<ServedMetrics | undefined> {
  if (port === undefined) return undefined;
  const { CopyMetrics: Metrics } = await import('../metrics/copy-metrics.ts');
  const { startMetricsServer } = await import('../metrics/metrics-server.ts');
  const metrics = new Metrics({ backends, version });
  const server = await startMetricsServer({ registry: metrics.registry, host, port });
  if (json) output.print(jsonLine({ event: 'metrics', url: server.url }));
  else output.say(`metrics: ${server.url}`);
  return { metrics, server };
}
