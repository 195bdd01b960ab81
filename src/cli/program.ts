/** The commands and their options, as commander is told them. What they do is in the `…-command.ts` files. */
import { availableParallelism } from 'node:os';
import { Argument, Command, Option } from 'commander';
import { DELETE_MAX_MOST } from '../coordinator/extras.ts';
import { defaultMemoryBytes } from '../coordinator/memory.ts';
import type { Engine, LayoutChoice, ServerSideChoice } from '../core/job.ts';
import { DAMAGE_MOST } from '../platform/engine-port.ts';
import { examplesText } from './examples.ts';
import {
  orAuto,
  readByteRate,
  readDuration,
  readInteger,
  readMode,
  readOwner,
  readRequestRate,
  readSize,
} from './option-values.ts';

export interface CopyArguments {
  readonly from: string;
  readonly to: string;
  readonly layout: LayoutChoice;
  readonly frozen?: boolean;
  readonly threads: number;
  readonly concurrency: number | 'auto';
  readonly partSize: number | 'auto';
  readonly memory?: number;
  readonly bandwidth?: number;
  readonly requests?: number;
  readonly outageLimit: number;
  readonly engine: Engine;
  readonly serverSide: ServerSideChoice;
  readonly digests?: string;
  readonly readTwice?: boolean;
  readonly readBack?: boolean;
  readonly intoNonempty?: boolean;
  readonly keepGoing?: boolean;
  readonly abortUploads?: boolean;
  readonly deleteExtra?: boolean;
  readonly maxDelete?: number;
  readonly journal?: string;
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly mode?: number;
  readonly metricsPort?: number;
  readonly metricsHost?: string;
  readonly json?: boolean;
}

export interface PlanArguments {
  readonly from: string;
  readonly to: string;
  readonly layout: LayoutChoice;
  readonly threads: number;
  readonly partSize: number | 'auto';
  readonly memory?: number;
  readonly journal?: string;
  readonly serverSide: ServerSideChoice;
  readonly sample: number;
  readonly prices?: string;
  readonly json?: boolean;
}

export interface VerifyArguments {
  readonly from: string;
  readonly to: string;
  readonly layout: LayoutChoice;
  readonly deep?: boolean;
  readonly digests?: string;
  readonly allowExtra?: boolean;
  readonly memory?: number;
  readonly json?: boolean;
}

export interface MigrateArguments {
  readonly until?: string;
  readonly startAt?: string;
  readonly yes?: boolean;
  readonly yesForward?: boolean;
  readonly undo?: boolean;
  readonly withoutDigests?: boolean;
  readonly maxDelete?: number;
  readonly acceptDamage?: number;
  readonly json?: boolean;
}

export interface ProbeArguments {
  readonly layout: LayoutChoice;
  readonly role: 'source' | 'target';
  readonly write?: boolean;
  readonly engine: Engine;
  readonly json?: boolean;
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export interface Actions {
  plan(given: PlanArguments): Promise<void>;
  copy(given: CopyArguments): Promise<void>;
  verify(given: VerifyArguments): Promise<void>;
  migrate(file: string, given: MigrateArguments): Promise<void>;
  probe(storage: string, given: ProbeArguments): Promise<void>;
  completion(shell: Shell): Promise<void>;
}

const KIB = 1024;
const MIB = 1024 ** 2;
/** S3 takes parts up to 5 GiB; a part must also fit into memory. */
const PART_BYTES_MAX = 1024 * MIB;
/** A verification needs so much for itself and one large buffer; a copy's minimum depends on its threads. */
const MEMORY_MIN = 136 * MIB;
const MEMORY_MAX = 1024 ** 2 * MIB;
/** A restart of a storage cluster takes minutes; whoever is away for longer wants to be told. */
export const OUTAGE_MS_DEFAULT = 10 * 60_000;
const OUTAGE_MS_MAX = 7 * 86_400_000;
const SAMPLE_MAX = 1024 ** 2 * MIB;

const STORAGE_HELP = `
A storage is a YAML file with the registry's own "storage:" section (filesystem, s3, azure, gcs or swift), or a URL:
  file:///srv/registry                                   the folder that holds "docker/"
  s3://bucket/root?region=eu-central-1                   Amazon S3
  s3://bucket/root?endpoint=http://ceph.example:7480     any other S3 service
  azure://account/container/root                         Azure Blob Storage
  gs://bucket/root                                       Google Cloud Storage
  swift://container/prefix                               OpenStack Swift
Credentials come from the YAML file, or from where each service's own tools look: for S3 environment, profile, instance role;
for Azure AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or Entra ID; for Google GOOGLE_APPLICATION_CREDENTIALS, gcloud or the
machine's account; for Swift OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and so on, or ST_AUTH, ST_USER and ST_KEY.`;

const EXIT_HELP = `
Exit codes: 0 done, 1 something could not be copied or read, 2 wrong usage or settings, 3 integrity, 4 a step of a migration
failed and everything was taken back, 5 it failed and was not (what to do is printed first), 130 stopped`;

export function buildProgram(version: string, actions: Actions): Command {
  const program = new Command('blobferry')
    .description("Moves a container registry's storage from one backend to another, exactly and with proof.")
    .version(version)
    .helpCommand('help [command]', 'show what a command does')
    .addHelpText('after', `${STORAGE_HELP}\n${EXIT_HELP}`);
  addProbe(program, actions);
  addPlan(program, actions);
  addCopy(program, actions);
  addVerify(program, actions);
  addMigrate(program, actions);
  addCompletion(program, actions);
  for (const command of program.commands) command.addHelpText('after', examplesText(command.name()));
  return program;
}

function layoutOption(): Option {
  return new Option(
    '--layout <layout>',
    'what is stored: a registry (auto finds out which kind) or just objects',
  )
    .choices(['auto', 'registry', 'raw'])
    .default('auto');
}

function engineOption(): Option {
  return new Option(
    '--engine <engine>',
    'how S3 and Azure are spoken to: our own client, or the AWS SDK and the Azure SDK',
  )
    .choices(['direct', 'sdk'])
    .default('direct');
}

function serverSideOption(): Option {
  return new Option(
    '--server-side <choice>',
    'let the service of the target copy large blobs by itself (within one S3 service; to Azure from S3 or Azure), and prove them',
  )
    .choices(['auto', 'never'])
    .default('auto');
}

function storages(command: Command): Command {
  return command
    .requiredOption('--from <storage>', 'source: YAML file or URL')
    .requiredOption('--to <storage>', 'target: YAML file or URL')
    .addOption(layoutOption());
}

export function defaultThreads(): number {
  return Math.min(64, availableParallelism());
}

function threadsOption(): Option {
  return new Option('--threads <number>', 'worker threads')
    .argParser(readInteger(1, 64))
    .default(defaultThreads(), 'one per core');
}

function partSizeOption(): Option {
  return new Option('--part-size <size>', 'bytes of one request')
    .argParser(orAuto(readSize(64 * KIB, PART_BYTES_MAX)))
    .default('auto');
}

function digestsOption(): Option {
  return new Option(
    '--digests <backup>',
    'metadata backup of MSR (tar): says what blobs that are named by an id must hash to',
  );
}

function memoryOption(): Option {
  const memory = `${defaultMemoryBytes(2) / MIB}MiB at 2 threads, 64MiB more for each further one`;
  return new Option('--memory <size>', `bound for the process's memory (${memory})`).argParser(
    readSize(MEMORY_MIN, MEMORY_MAX),
  );
}

function addPlan(program: Command, actions: Actions): void {
  const description = 'say what a copy would do, and about how long it would take; writes nothing';
  storages(program.command('plan').description(description))
    .addOption(threadsOption())
    .addOption(partSizeOption())
    .addOption(memoryOption())
    .addOption(serverSideOption())
    .option('--journal <folder>', 'journal of the copy, to see what it has begun already (as for copy)')
    .addOption(
      new Option('--sample <size>', 'bytes read from the source to estimate the time; 0 reads none')
        .argParser(readSize(0, SAMPLE_MAX))
        .default(64 * MIB, '64MiB'),
    )
    .option('--prices <file>', 'YAML file with prices of requests and egress: say what the copy would cost')
    .option('--json', 'print one JSON object per line on stdout, the last one the summary')
    .action((given: PlanArguments) => actions.plan(given));
}

function addCopy(program: Command, actions: Actions): void {
  storages(program.command('copy').description('copy what the target lacks, proving every object on its way'))
    .option(
      '--frozen',
      'the source is read-only: what does not fit is damage, what is gone is a failure',
      false,
    )
    .addOption(threadsOption())
    .option('--concurrency <number>', 'objects in flight per thread', orAuto(readInteger(1, 1024)), 'auto')
    .addOption(partSizeOption())
    .addOption(memoryOption())
    .option('--bandwidth <rate>', 'read at most so many bytes per second from the source', readByteRate)
    .option('--requests <rate>', 'at most so many requests per second to each side', readRequestRate)
    .addOption(
      new Option('--outage-limit <duration>', 'how long to wait for a backend that does not answer')
        .argParser(readDuration(OUTAGE_MS_MAX))
        .default(OUTAGE_MS_DEFAULT, '10m'),
    )
    .addOption(engineOption())
    .addOption(serverSideOption())
    .addOption(digestsOption())
    .option('--read-twice', 'read objects twice that no digest or checksum proves')
    .option('--read-back', 'read back everything that was written, also where the target checks it')
    .option('--into-nonempty', 'allow a target that already holds something else')
    .option(
      '--keep-going',
      'copy names although some blobs failed, and all else where a folder cannot be listed',
    )
    .option(
      '--delete-extra',
      'with --frozen: remove from the target what the source no longer has; never blobs',
    )
    .option(
      '--max-delete <number>',
      'with --delete-extra: remove nothing if it is more than so many objects (1000); 0 only shows them',
      readInteger(0, DELETE_MAX_MOST),
    )
    .option('--abort-uploads', 'abort unfinished uploads in the target that this job did not begin')
    .option(
      '--journal <folder>',
      'where progress and exceptions are kept (a folder of this job, below ~/.local/state)',
    )
    .option(
      '--owner <uid:gid>',
      "owner of written files that the source has none for (the target folder's)",
      readOwner,
    )
    .option('--mode <octal>', 'permissions of such files (what the umask leaves)', readMode)
    .option(
      '--metrics-port <port>',
      'serve Prometheus metrics; 0 takes any free port',
      readInteger(0, 65_535),
    )
    .option('--metrics-host <host>', 'address to serve them on (127.0.0.1)')
    .option('--json', 'print one JSON object per line on stdout, the last one the summary')
    .action((given: CopyArguments) => actions.copy(given));
}

function addVerify(program: Command, actions: Actions): void {
  storages(program.command('verify').description('compare the target with the source'))
    .option('--deep', 'read everything back from the target and hash it')
    .addOption(digestsOption())
    .option('--allow-extra', 'objects that only the target has are no failure')
    .option('--memory <size>', "bound for the process's memory (192MiB)", readSize(MEMORY_MIN, MEMORY_MAX))
    .option('--json', 'print one JSON object per line on stdout, the last one the summary')
    .action((given: VerifyArguments) => actions.verify(given));
}

function addMigrate(program: Command, actions: Actions): void {
  program
    .command('migrate')
    .description("move a registry to a new storage, with the registry's own steps around the copy")
    .argument('<file>', 'the migration: a YAML file')
    .option('--until <step>', 'end behind this step; the next run goes on (preflight changes nothing)')
    .option('--start-at <step>', 'leave out what may be left out before this step, and do the rest again')
    .option('--yes', 'do not ask before steps that can be taken back', false)
    .option('--yes-forward', 'do not ask before steps that cannot be taken back either', false)
    .option('--undo', 'take back what an open migration has changed', false)
    .option(
      '--without-digests',
      'without a first metadata backup: blobs are not compared with what they must hash to',
    )
    .option(
      '--max-delete <number>',
      'remove no links and tags from the target if it is more than so many (1000)',
      readInteger(0, DELETE_MAX_MOST),
    )
    .option(
      '--accept-damage <number>',
      'leave out up to so many objects that are damaged in the source already; each is named',
      readInteger(1, DAMAGE_MOST),
    )
    .option('--json', 'print one JSON object per line on stdout, the last one the summary')
    .action((file: string, given: MigrateArguments) => actions.migrate(file, given));
}

function addProbe(program: Command, actions: Actions): void {
  program
    .command('probe')
    .description('find out whether a storage can be used, and what is in it')
    .argument('<storage>', 'YAML file or URL')
    .addOption(layoutOption())
    .addOption(
      new Option('--role <role>', 'what it is to be used as').choices(['source', 'target']).default('source'),
    )
    .option(
      '--write',
      'also write, read back and remove a small object, and see which checks are made',
      false,
    )
    .addOption(engineOption())
    .option('--json', 'print the findings as one JSON object')
    .action((storage: string, given: ProbeArguments) => actions.probe(storage, given));
}

function addCompletion(program: Command, actions: Actions): void {
  program
    .command('completion')
    .description('print a script that completes commands and options in a shell')
    .addArgument(new Argument('<shell>', 'which one').choices(SHELLS))
    .action((shell: Shell) => actions.completion(shell));
}
