/** One run of one copier: conditions on, run and measured, conditions off, the target checked. */
import { mkdtempSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FoundCopier } from '../copiers/copier.ts';
import type { SetName } from '../data/data-set.ts';
import { type CommandLine, type Measured, measureProcess } from '../measure/measure-process.ts';
import { rounded, type SpeedGauge, usageOf } from '../measure/usage.ts';
import type { Cell } from '../plan/cell.ts';
import type { Parameters } from '../plan/parameters.ts';
import type { RunRecord, ServerShare } from '../records.ts';
import type { S3ServerStats, Transfers } from '../s3-server/stats.ts';
import { impose } from './conditions.ts';
import { type SourceSide, s3ServerOf, type TargetSide, type WatchedServer } from './side.ts';

export interface Stage {
  readonly parameters: Parameters;
  readonly source: SourceSide;
  readonly target: TargetSide;
  readonly isPrefilled: boolean;
  readonly caFile: string;
  /** Of the bench; each run has a folder of its own below it. */
  readonly folder: string;
  readonly gauge: SpeedGauge;
}

export interface RunPlan {
  readonly cell: Cell;
  readonly copier: FoundCopier;
  readonly set: SetName;
  readonly repeat: number;
}

/** @throws Error where the bench itself fails: a server that takes bad parts, or is gone. A copier's failure is a result. */
export async function runOnce(stage: Stage, plan: RunPlan): Promise<RunRecord> {
  const { cell, copier, set, repeat } = plan;
  const expected = stage.source.sets[set];
  const scratch = mkdtempSync(join(stage.folder, 'run-'));
  const line = copier.commandLine({
    source: stage.source.place(set),
    target: stage.target.place(set),
    isPrefilled: stage.isPrefilled,
    scratch,
    caFile: stage.caFile,
    transfers: stage.parameters.transfers,
    partBytes: stage.parameters.partBytes,
    ...(cell.condition === 'unbound' ? { isUnbound: true } : {}),
    ...(cell.condition === 'one-put' ? { onePutBytes: Math.max(...expected.sizes.values()) } : {}),
  });
  const base = {
    kind: 'run',
    at: new Date().toISOString(),
    cell,
    copier: copier.name,
    command: commandText(line, stage.folder),
    set,
    repeat,
    objects: expected.sizes.size,
    bytes: expected.bytes,
    ...(stage.target.etags ? { etags: stage.target.etags } : {}),
  } as const;
  try {
    const planted = await stage.target.plant();
    if (planted?.isRefused === false)
      throw new Error(`The S3 server took a bad part: ${JSON.stringify(planted.answers)}`);
    const run = await watched(stage, plan, line);
    const check = await stage.target.check(set, expected, { round: repeat });
    const reason = reasonOf(copier, run.measured, {
      problems: check.problems,
      refusals: run.shares.target?.errors ?? {},
      limitSeconds: stage.parameters.limitSeconds,
    });
    return {
      ...base,
      outcome: reason === undefined ? 'ok' : 'failed',
      ...(reason === undefined ? {} : { reason }),
      exitCode: run.measured.exitCode,
      ...usageOf(run.measured, stage.gauge.around()),
      ...run.shares,
      check,
      ...(planted ? { planted } : {}),
      ...copier.claims(cell.route, run.measured.stdout),
    };
  } catch (error) {
    if (!isStartFailure(error)) throw error;
    return { ...base, outcome: 'failed', reason: error.message };
  } finally {
    await stage.target.clear();
    rmSync(scratch, { recursive: true, force: true });
  }
}

interface Watched {
  readonly measured: Measured;
  readonly shares: Pick<RunRecord, 'source' | 'target'>;
}

async function watched(stage: Stage, { cell, repeat }: RunPlan, line: CommandLine): Promise<Watched> {
  const { source, target, parameters } = stage;
  const servers = { source: s3ServerOf(source), target: s3ServerOf(target) };
  const lift = await impose(servers, cell.condition, parameters, repeat);
  const isLimited = cell.condition.startsWith('limited');
  try {
    const ends = [startShare(source.server, isLimited), startShare(target.server, isLimited)];
    const [sourceShare, targetShare] = await Promise.all(ends);
    const measured = await measureProcess(line, {
      limitSeconds: parameters.limitSeconds,
      folder: stage.folder,
    });
    const seenBySource = await sourceShare?.();
    const seenByTarget = await targetShare?.();
    return {
      measured,
      shares: {
        ...(seenBySource ? { source: seenBySource } : {}),
        ...(seenByTarget ? { target: seenByTarget } : {}),
      },
    };
  } finally {
    await lift();
  }
}

/** @returns what tells later how much the server has done since now. */
async function startShare(
  server: Pick<WatchedServer, 'stats'> | undefined,
  hasSeconds: boolean,
): Promise<(() => Promise<ServerShare>) | undefined> {
  if (!server) return undefined;
  const before = await server.stats();
  return async () => {
    const after = await server.stats();
    const seconds = hasSeconds ? { seconds: after.seconds.slice(Math.ceil(before.uptimeSeconds)) } : {};
    return { ...shareBetween(before, after), ...seconds };
  };
}

function shareBetween(before: S3ServerStats<string>, after: S3ServerStats<string>): ServerShare {
  return {
    requests: after.requests - before.requests,
    operations: grown(before.requestsByOperation, after.requestsByOperation),
    statuses: grown(before.responsesByStatus, after.responsesByStatus),
    errors: grown(before.errorsByCode, after.errorsByCode),
    connections: after.connections - before.connections,
    bytesIn: after.bytesIn - before.bytesIn,
    bytesOut: after.bytesOut - before.bytesOut,
    cpuSeconds: rounded(after.cpuSeconds - before.cpuSeconds),
    largeBodiesIn: moved(before.largeBodiesIn, after.largeBodiesIn),
    largeBodiesOut: moved(before.largeBodiesOut, after.largeBodiesOut),
  };
}

function moved(before: Transfers, after: Transfers): Transfers {
  return { bytes: after.bytes - before.bytes, seconds: rounded(after.seconds - before.seconds) };
}

type Counts = Readonly<Partial<Record<string, number>>>;

export function grown(before: Counts, after: Counts): Readonly<Record<string, number>> {
  const entries = Object.entries(after).map(
    ([name, count = 0]) => [name, count - (before[name] ?? 0)] as const,
  );
  return Object.fromEntries(entries.filter(([, count]) => count > 0));
}

export interface Evidence {
  /** Of the target's check. */
  readonly problems: readonly string[];
  /** Codes that the target answered. */
  readonly refusals: Counts;
  readonly limitSeconds: number;
}

/** Why a run is no good; undefined for one that is. */
export function reasonOf(
  copier: FoundCopier,
  { exitCode, isLate, stdout, stderr }: Measured,
  { problems, refusals, limitSeconds }: Evidence,
): string | undefined {
  if (isLate) return `not done after ${limitSeconds} s`;
  if (exitCode === 0 && problems.length === 0) return undefined;
  const answers = Object.entries(refusals).map(([code, count]) => `${count} × ${code}`);
  const answered = answers.length === 0 ? '' : `the target answered ${answers.join(', ')}`;
  if (exitCode === 0) return [`exit code 0, but ${problems.join('; ')}`, answered].filter(isSaid).join('; ');
  const said = copier.explain?.(stdout) ?? (lastLine(stderr) || lastLine(stdout));
  const ended = exitCode === null ? 'ended by a signal' : `exit code ${exitCode}`;
  return [ended, said, ...problems, answered].filter(isSaid).join('; ');
}

function isSaid(text: string): boolean {
  return text !== '';
}

const LINE_CHARACTERS_MAX = 300;

function lastLine(output: string): string {
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  return line.length > LINE_CHARACTERS_MAX ? `${line.slice(0, LINE_CHARACTERS_MAX)}…` : line;
}

function isStartFailure(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error && String(error.syscall).startsWith('spawn');
}

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));

/** As one would type it in the checkout; folders of this machine and of this run mean nothing to anybody. */
function commandText({ command, args }: CommandLine, folder: string): string {
  const words = args.map((word) =>
    word
      .replaceAll(folder, 'BENCH')
      .replaceAll(/\bBENCH\/run-\w+/g, 'RUN')
      .replaceAll(CHECKOUT, '')
      .replace(/(secret_key=).*/, '$1…'),
  );
  return [basename(command), ...words].join(' ');
}
