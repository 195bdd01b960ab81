/** The stand-in's API below `/api/v0/`: one function for each call, in the order of facts that `msr.ts` lists. */
import { randomUUID } from 'node:crypto';
import { parse, stringify } from 'yaml';
import { isRecord, type JsonRecord, textOf } from './json.ts';
import { driverIn, type MsrState } from './state.ts';
import { openMsrStorage } from './storage.ts';

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Undefined: the body is no JSON object. */
  readonly json: JsonRecord | undefined;
}

export interface ApiAnswer {
  readonly status: number;
  readonly json?: unknown;
}

interface Match {
  readonly request: ApiRequest;
  readonly parts: readonly string[];
}

type Handler = (state: MsrState, match: Match) => ApiAnswer | Promise<ApiAnswer>;

/** Path parts in braces are handed on, decoded. */
const ROUTES: readonly (readonly [route: string, handler: Handler])[] = [
  ['GET /admin/version', version],
  ['GET /docs.json', spec],
  ['GET /meta/settings', readSettings],
  ['POST /meta/settings', writeSettings],
  ['GET /meta/cluster_status', clusterStatus],
  ['GET /jobs', listJobs],
  ['POST /jobs', createJob],
  ['GET /jobs/{id}', readJob],
  ['GET /jobs/{id}/logs', readLog],
  ['POST /jobs/{id}/cancel', cancelJob],
  ['DELETE /jobs/{id}', deleteJob],
  ['GET /crons', listCrons],
  ['POST /crons', putCron],
  ['GET /crons/{action}', readCron],
  ['DELETE /crons/{name}', deleteCron],
  ['GET /admin/settings/registry', readRegistry],
  ['PUT /admin/settings/registry', writeRegistry],
  ['GET /repositories', listRepositories],
  ['DELETE /repositories/{namespace}/{name}', deleteRepository],
  ['DELETE /repositories/{namespace}/{name}/tags/{tag}', deleteTag],
];

/** Calls that anybody with an account may make. */
export const FOR_EVERYBODY = /^(GET|DELETE) \/api\/v0\/(admin\/version|docs\.json|repositories(\/.*)?)$/;

export async function answerApi(state: MsrState, request: ApiRequest): Promise<ApiAnswer> {
  for (const [route, handler] of ROUTES) {
    const parts = partsOf(route, request);
    if (parts) return handler(state, { request, parts });
  }
  return failure(404, 'NOT_FOUND', 'The requested resource could not be found.');
}

function partsOf(route: string, { method, path }: ApiRequest): readonly string[] | undefined {
  const [verb = '', pattern = ''] = route.split(' ');
  if (verb !== method) return undefined;
  const expression = pattern.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '([^/]+)');
  return new RegExp(`^/api/v0${expression}$`).exec(path)?.slice(1).map(decodeURIComponent);
}

export function failure(status: number, code: string, message: string): ApiAnswer {
  return { status, json: { errors: [{ code, message }] } };
}

function version(state: MsrState): ApiAnswer {
  if (state.assumes.hasVersion === false) return failure(404, 'NOT_FOUND', 'not found');
  return { status: 200, json: { version: state.version } };
}

function spec(state: MsrState): ApiAnswer {
  if (state.assumes.hasSpec === false) return failure(404, 'NOT_FOUND', 'not found');
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [route] of ROUTES) {
    const [method = '', path = ''] = route.split(' ');
    paths[path] = { ...paths[path], [method.toLowerCase()]: { responses: {} } };
  }
  return {
    status: 200,
    json: { swagger: '2.0', basePath: '/api/v0', info: { version: state.version }, paths },
  };
}

function readSettings(state: MsrState): ApiAnswer {
  const { mounted, replicas, assumes, isReadOnly } = state;
  return {
    status: 200,
    json: {
      dtrHost: 'msr.example.com',
      sso: false,
      createRepositoryOnPush: true,
      replicaID: replicas.ids[0],
      replicaSettings: Object.fromEntries(
        replicas.ids.map((id) => [id, { HTTPPort: 80, HTTPSPort: 443, node: `node-${id}` }]),
      ),
      webTLSKey: 'a private key that nobody should see',
      jobHistoryToKeep: 100,
      ...mountSettings(mounted?.said ?? ''),
      ...(assumes.settingsTellReadOnly === true ? { readOnlyRegistry: isReadOnly } : {}),
    },
  };
}

/** Where it is over NFS its host and path are told apart; that the volume is empty then is assumed. */
function mountSettings(said: string): JsonRecord {
  const [, nfsHost = '', nfsPath = ''] = /^nfs:\/\/([^/]+)(\/.*)$/.exec(said) ?? [];
  return { storageVolume: nfsHost === '' ? said : '', nfsHost, nfsPath };
}

function writeSettings(state: MsrState, { request }: Match): ApiAnswer {
  if (!request.json) return failure(400, 'INVALID_JSON', 'Unable to decode the request');
  const { readOnlyRegistry } = request.json;
  if (readOnlyRegistry !== undefined) {
    if (typeof readOnlyRegistry !== 'boolean') {
      return failure(400, 'INVALID_SETTINGS', 'readOnlyRegistry must be a boolean');
    }
    state.setReadOnly(readOnlyRegistry);
  }
  return { status: 202 };
}

async function clusterStatus(state: MsrState): Promise<ApiAnswer> {
  await state.replicas.look();
  const { assumes, replicas } = state;
  const issues: unknown[] = [];
  const tables = { db_config: [], server_status: [], table_config: [], table_status: [], stats: [] };
  const isNested = assumes.issuesAt === 'nested';
  return {
    status: 200,
    json: {
      ...(isNested ? {} : { current_issues: issues }),
      rethink_system_tables: { ...tables, ...(isNested ? { current_issues: issues } : {}) },
      replica_health: replicas.health(),
      replica_timestamp: Object.fromEntries(replicas.ids.map((id) => [id, new Date().toISOString()])),
      ...(assumes.statusTellsReadOnly === false ? {} : { replica_readonly: replicas.readOnly() }),
      gc_lock_holder: '',
    },
  };
}

async function listJobs(state: MsrState, { request: { query } }: Match): Promise<ApiAnswer> {
  await state.jobs.look();
  const [action, running] = [query.get('action') ?? 'any', query.get('running') ?? 'any'];
  const found = state.jobs.jobs
    .toReversed()
    .filter((job) => action === 'any' || job.action === action)
    .filter((job) => running === 'any' || (job.status === 'running') === (running === 'true'));
  const start = Number(query.get('start') ?? 0);
  // Without a limit there are ten.
  const page = found.slice(start, start + Number(query.get('limit') ?? 10));
  return { status: 200, json: { jobs: page.map((job) => state.jobs.toJson(job)) } };
}

function createJob(state: MsrState, { request }: Match): ApiAnswer {
  const action = textOf(request.json?.['action']);
  if (action === '') return failure(400, 'INVALID_JSON', 'Unable to decode the request');
  return { status: 202, json: state.jobs.toJson(state.jobs.create(action)) };
}

async function readJob(state: MsrState, { parts: [id = ''] }: Match): Promise<ApiAnswer> {
  await state.jobs.look();
  const job = state.jobs.find(id);
  return job ? { status: 200, json: state.jobs.toJson(job) } : noSuchJob();
}

function noSuchJob(): ApiAnswer {
  return failure(404, 'NO_SUCH_JOB', 'No such job');
}

function readLog(state: MsrState, { parts: [id = ''] }: Match): ApiAnswer {
  const job = state.jobs.find(id);
  if (!job) return noSuchJob();
  return { status: 200, json: job.log.map((line) => ({ [state.assumes.logField ?? 'data']: line })) };
}

function cancelJob(state: MsrState, { parts: [id = ''] }: Match): ApiAnswer {
  const job = state.jobs.find(id);
  if (!job) return noSuchJob();
  state.jobs.cancel(job);
  return { status: 204 };
}

function deleteJob(state: MsrState, { parts: [id = ''] }: Match): ApiAnswer {
  const at = state.jobs.jobs.findIndex((job) => job.id === id);
  if (at < 0) return noSuchJob();
  state.jobs.jobs.splice(at, 1);
  return { status: 204 };
}

function listCrons(state: MsrState): ApiAnswer {
  return { status: 200, json: { crons: [...state.crons.values()] } };
}

function putCron(state: MsrState, { request: { json } }: Match): ApiAnswer {
  const [action, schedule] = [textOf(json?.['action']), textOf(json?.['schedule'])];
  // Six fields, seconds first; or a word behind an @.
  if (action === '' || !/^(@\w+.*|\S+( \S+){5}|)$/.test(schedule)) {
    return failure(400, 'INVALID_CRON', 'The schedule could not be parsed');
  }
  const id = state.crons.get(action)?.id ?? randomUUID();
  const nextRun = schedule === '' ? '' : '2030-01-01T00:00:00Z';
  const defaults = { retries: 0, capacityMap: null, parameters: null, deadline: '', stopTimeout: '' };
  state.crons.set(action, { ...defaults, ...json, id, action, schedule, nextRun });
  return { status: 202 };
}

function readCron(state: MsrState, { parts: [action = ''] }: Match): ApiAnswer {
  const cron = state.crons.get(action);
  return cron ? { status: 200, json: cron } : failure(404, 'NO_SUCH_CRON', 'No such cron');
}

function deleteCron(state: MsrState, { parts: [name = ''] }: Match): ApiAnswer {
  const by = state.assumes.cronsDeletedBy ?? 'id';
  const cron = [...state.crons.values()].find((one) => one[by] === name);
  if (!cron) return failure(404, 'NO_SUCH_CRON', 'No such cron');
  state.crons.delete(cron.action);
  return { status: 204 };
}

function readRegistry(state: MsrState): ApiAnswer {
  const { registrySettings, assumes } = state;
  const config = stringify({ version: '0.1', ...registrySettings });
  return {
    status: 200,
    json: assumes.settingsShape === 'config' ? { config } : registrySettings,
  };
}

/** Tries the storage first, as a registry that is started on it would. */
async function writeRegistry(state: MsrState, { request: { json } }: Match): Promise<ApiAnswer> {
  const section = storageIn(json);
  if (!section) return failure(400, 'INVALID_SETTINGS', 'storage is required');
  try {
    const trial = openMsrStorage(section, state.mounted?.folder);
    const path = randomUUID();
    await trial.write(path, Buffer.from('ok'));
    if ((await trial.read(path)) === undefined) throw new Error('the object is not there');
    await trial.remove(path);
    trial.close();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const text = `Could not start the registry on ${driverIn(section)} ${JSON.stringify(section)}: ${reason}`;
    return failure(400, 'INVALID_STORAGE', text);
  }
  // What is mounted stays so, whether or not the registry uses it.
  await state.useStorage(section, state.mounted, json?.['keep_metadata'] === true);
  return { status: 202 };
}

function storageIn(json: JsonRecord | undefined): JsonRecord | undefined {
  const config = json?.['config'];
  const body: unknown = typeof config === 'string' ? parse(config) : json;
  return isRecord(body) && isRecord(body['storage']) ? body['storage'] : undefined;
}

function listRepositories(state: MsrState): ApiAnswer {
  return { status: 200, json: { repositories: state.metadata.repositories } };
}

async function deleteRepository(state: MsrState, { parts: [namespace, name] }: Match): Promise<ApiAnswer> {
  const isGone = await state.removeRepository(`${namespace}/${name}`);
  return isGone ? { status: 204 } : failure(404, 'NO_SUCH_REPOSITORY', 'No such repository');
}

async function deleteTag(state: MsrState, { parts: [namespace, name, tag = ''] }: Match): Promise<ApiAnswer> {
  const isGone = await state.removeTag(`${namespace}/${name}`, tag);
  return isGone ? { status: 204 } : failure(404, 'NO_SUCH_TAG', 'No such tag');
}
