/**
 * Whom the small Keystone knows, and what a request must look like to be given a token: unknown fields, missing domains
 * and two scopes at once are refused, as the schemas of https://docs.openstack.org/api-ref/identity/v3/ refuse them.
 */

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly json: unknown;
}

interface Named {
  readonly id: string;
  readonly name: string;
}

interface OfDomain extends Named {
  readonly domain: Named;
}

/** Who may do what. Without a project a token is of no use to an object store. */
export interface Grant {
  readonly method: string;
  readonly user: OfDomain;
  readonly project?: OfDomain;
}

const DEFAULT_DOMAIN: Named = { id: 'default', name: 'Default' };
export const OTHER_DOMAIN: Named = { id: 'd-other', name: 'Other domain' };
export const USER: OfDomain = { id: 'u1', name: 'mover', domain: DEFAULT_DOMAIN };
/** The same name in another domain, with another password. */
export const OTHER_USER: OfDomain = { id: 'u2', name: 'mover', domain: OTHER_DOMAIN };
export const PROJECT: OfDomain = { id: 'p1', name: 'registry', domain: DEFAULT_DOMAIN };
export const OTHER_PROJECT: OfDomain = { id: 'p2', name: 'registry', domain: OTHER_DOMAIN };
export const TRUST = { id: 't1', project: OTHER_PROJECT };
export const PASSWORDS: Readonly<Record<string, string>> = { u1: 'päss "word"', u2: 'other-password' };
export const CREDENTIAL = { id: 'ac1', name: 'for blobferry', secret: 'application-secret', user: USER };

type Fields = Readonly<Record<string, unknown>>;

export function isRecord(json: unknown): json is Fields {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

const BAD = refuse(400, 'Bad Request', 'Expecting to find the right fields in the request.');
/** "The request you have made requires authentication.": nothing is told of what was wrong. */
const UNAUTHORIZED = refuse(401, 'Unauthorized', 'The request you have made requires authentication.');

function refuse(status: number, title: string, message: string): Answer {
  return { status, headers: {}, json: { error: { code: status, title, message } } };
}

/** The fields of an object that has these and no others; undefined for anything else. */
function fieldsOf(json: unknown, must: readonly string[], may: readonly string[] = []): Fields | undefined {
  if (!isRecord(json)) return undefined;
  const names = Object.keys(json);
  const isRight =
    must.every((name) => names.includes(name)) && names.every((name) => [...must, ...may].includes(name));
  return isRight ? json : undefined;
}

export function v3Grant(json: Fields): Grant | Answer {
  const auth = fieldsOf(fieldsOf(json, ['auth'])?.['auth'], ['identity'], ['scope']);
  const methods = isRecord(auth?.['identity']) ? auth['identity']['methods'] : undefined;
  if (!auth || !Array.isArray(methods) || methods.length !== 1) return BAD;
  const method = String(methods[0]);
  const identity = fieldsOf(auth['identity'], ['methods', method]);
  if (!identity) return BAD;
  if (method === 'application_credential') return byCredential(identity[method], auth['scope']);
  if (method !== 'password') return UNAUTHORIZED;
  const given = fieldsOf(fieldsOf(identity[method], ['user'])?.['user'], ['name', 'password', 'domain']);
  const domain = domainOf(given?.['domain']);
  if (!given || domain === 'bad') return BAD;
  const user = [USER, OTHER_USER].find((one) => one.name === given['name'] && one.domain === domain);
  if (!user || PASSWORDS[user.id] !== given['password']) return UNAUTHORIZED;
  return scoped({ method, user }, auth['scope']);
}

/** "An application credential": by id, or by name with its user; it "cannot request a scope". */
function byCredential(json: unknown, scope: unknown): Grant | Answer {
  if (scope !== undefined) return UNAUTHORIZED;
  const byId = fieldsOf(json, ['id', 'secret']);
  const byName = fieldsOf(json, ['name', 'secret', 'user']);
  const user = fieldsOf(byName?.['user'], ['name', 'domain']);
  if (!byId && !user) return BAD;
  const isRight = byId
    ? byId['id'] === CREDENTIAL.id && byId['secret'] === CREDENTIAL.secret
    : byName?.['name'] === CREDENTIAL.name &&
      byName['secret'] === CREDENTIAL.secret &&
      user?.['name'] === CREDENTIAL.user.name &&
      domainOf(user['domain']) === CREDENTIAL.user.domain;
  return isRight
    ? { method: 'application_credential', user: CREDENTIAL.user, project: PROJECT }
    : UNAUTHORIZED;
}

/** "scope": a project by id, or by name and its domain; or a trust. Several at once are a 400. */
function scoped(grant: Grant, scope: unknown): Grant | Answer {
  if (scope === undefined) return grant;
  if (!isRecord(scope) || Object.keys(scope).length !== 1) return BAD;
  if ('OS-TRUST:trust' in scope) {
    const trust = fieldsOf(scope['OS-TRUST:trust'], ['id']);
    if (!trust) return BAD;
    return trust['id'] === TRUST.id ? { ...grant, project: TRUST.project } : UNAUTHORIZED;
  }
  const byId = fieldsOf(scope['project'], ['id']);
  const byName = fieldsOf(scope['project'], ['name', 'domain']);
  const domain = byName && domainOf(byName['domain']);
  if ((!byId && !byName) || domain === 'bad') return BAD;
  const project = [PROJECT, OTHER_PROJECT].find((one) =>
    byId ? one.id === byId['id'] : one.name === byName?.['name'] && one.domain === domain,
  );
  return project ? { ...grant, project } : UNAUTHORIZED;
}

function domainOf(json: unknown): Named | 'bad' | undefined {
  const byId = fieldsOf(json, ['id']);
  const byName = fieldsOf(json, ['name']);
  if (!byId && !byName) return 'bad';
  return [DEFAULT_DOMAIN, OTHER_DOMAIN].find((one) =>
    byId ? one.id === byId['id'] : one.name === byName?.['name'],
  );
}

/** Version 2 knows the default domain alone; a tenant by id or by name, not both. */
export function v2Grant(json: Fields): Grant | Answer {
  const auth = fieldsOf(
    fieldsOf(json, ['auth'])?.['auth'],
    ['passwordCredentials'],
    ['tenantId', 'tenantName'],
  );
  const given = fieldsOf(auth?.['passwordCredentials'], ['username', 'password']);
  if (!auth || !given || ('tenantId' in auth && 'tenantName' in auth)) return BAD;
  if (given['username'] !== USER.name || given['password'] !== PASSWORDS[USER.id]) return UNAUTHORIZED;
  const { tenantId, tenantName } = auth;
  if (tenantId === undefined && tenantName === undefined) return { method: 'password', user: USER };
  const isRight = tenantId === undefined ? tenantName === PROJECT.name : tenantId === PROJECT.id;
  return isRight ? { method: 'password', user: USER, project: PROJECT } : UNAUTHORIZED;
}
