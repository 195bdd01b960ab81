/**
 * What Keystone is asked and what it answers; the shapes of its two versions. Read by hand: every thread logs in, and a
 * library for schemas would cost each of them more memory than its connections do.
 */
import type { SwiftAccess } from '../spec.ts';

export interface CatalogEndpoint {
  readonly interface: string;
  readonly region: string | undefined;
  readonly url: string;
}

export interface TokenAnswer {
  readonly token: string;
  readonly expiresAtMs?: number;
  /** Of object stores only. */
  readonly endpoints: readonly CatalogEndpoint[];
}

export function v2Request(access: SwiftAccess): unknown {
  const { user, password, tenant, tenantId } = access;
  return {
    auth: {
      passwordCredentials: { username: user, password },
      ...(tenantId === undefined ? {} : { tenantId }),
      // One of the two: the id says more.
      ...(tenant === undefined || tenantId !== undefined ? {} : { tenantName: tenant }),
    },
  };
}

/** Domains default to the one that Keystone makes itself, as with the registry's driver. */
export function v3Request(access: SwiftAccess): unknown {
  const { user, password, domain, domainId, applicationCredential: credential } = access;
  if (credential) {
    const owner = 'id' in credential ? {} : { user: { name: user, domain: domainOf(domain, domainId) } };
    const method = 'application_credential';
    return {
      auth: { identity: { methods: [method], [method]: { ...credential, secret: password, ...owner } } },
    };
  }
  const scope = scopeOf(access);
  return {
    auth: {
      identity: {
        methods: ['password'],
        password: { user: { name: user, password, domain: domainOf(domain, domainId) } },
      },
      ...(scope === undefined ? {} : { scope }),
    },
  };
}

function scopeOf(access: SwiftAccess): unknown {
  const { tenant, tenantId, tenantDomain, tenantDomainId, domain, domainId, trustId } = access;
  if (trustId !== undefined) return { 'OS-TRUST:trust': { id: trustId } };
  if (tenantId !== undefined) return { project: { id: tenantId } };
  if (tenant === undefined) return undefined;
  const hasOwn = tenantDomain !== undefined || tenantDomainId !== undefined;
  const of = hasOwn ? domainOf(tenantDomain, tenantDomainId) : domainOf(domain, domainId);
  return { project: { name: tenant, domain: of } };
}

function domainOf(name: string | undefined, id: string | undefined): unknown {
  if (name !== undefined) return { name };
  return id === undefined ? { name: 'Default' } : { id };
}

/** @throws RangeError where the answer is none of Keystone v2. */
export function v2Token(json: unknown): TokenAnswer {
  const access = fieldOf(json, 'access');
  const token = textOf(fieldOf(fieldOf(access, 'token'), 'id'));
  if (token === undefined) throw new RangeError('the answer is none of Keystone v2');
  const kinds = { public: 'publicURL', internal: 'internalURL', admin: 'adminURL' } as const;
  const endpoints = objectStoresIn(fieldOf(access, 'serviceCatalog')).flatMap((endpoint) =>
    Object.entries(kinds).map(([kind, name]) => ({
      interface: kind,
      region: textOf(fieldOf(endpoint, 'region')),
      url: textOf(fieldOf(endpoint, name)),
    })),
  );
  const expires = fieldOf(fieldOf(access, 'token'), 'expires');
  return { token, ...expiryOf(expires), endpoints: endpoints.filter(hasUrl) };
}

/** @throws RangeError where the answer is none of Keystone v3. */
export function v3Token(json: unknown, token: string | undefined): TokenAnswer {
  const about = fieldOf(json, 'token');
  if (about === undefined || token === undefined) throw new RangeError('the answer is none of Keystone v3');
  const endpoints = objectStoresIn(fieldOf(about, 'catalog')).map((endpoint) => ({
    // Older services call it by the name of the field it had in version 2.
    interface: (textOf(fieldOf(endpoint, 'interface')) ?? '').replace(/URL$/, ''),
    region: textOf(fieldOf(endpoint, 'region_id')) ?? textOf(fieldOf(endpoint, 'region')),
    url: textOf(fieldOf(endpoint, 'url')),
  }));
  return { token, ...expiryOf(fieldOf(about, 'expires_at')), endpoints: endpoints.filter(hasUrl) };
}

/** The address of the account, as the settings choose it. */
export function endpointIn(
  endpoints: readonly CatalogEndpoint[],
  { region, endpointType }: SwiftAccess,
): string | undefined {
  return endpoints.find(
    (endpoint) => endpoint.interface === endpointType && (region === undefined || endpoint.region === region),
  )?.url;
}

function objectStoresIn(catalog: unknown): readonly unknown[] {
  return listOf(catalog)
    .filter((service) => fieldOf(service, 'type') === 'object-store')
    .flatMap((service) => listOf(fieldOf(service, 'endpoints')));
}

function hasUrl<E extends { readonly url: string | undefined }>(
  endpoint: E,
): endpoint is E & { url: string } {
  return endpoint.url !== undefined;
}

function expiryOf(text: unknown): { readonly expiresAtMs?: number } {
  const said = textOf(text) ?? '';
  // Version 2 has been seen to leave out the zone, which is always UTC.
  const expiresAtMs = Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/i.test(said) ? said : `${said}Z`);
  return Number.isNaN(expiresAtMs) ? {} : { expiresAtMs };
}

function fieldOf(json: unknown, name: string): unknown {
  const isObject = typeof json === 'object' && json !== null && Object.hasOwn(json, name);
  return isObject ? (json as Record<string, unknown>)[name] : undefined;
}

function listOf(json: unknown): readonly unknown[] {
  return Array.isArray(json) ? json : [];
}

function textOf(json: unknown): string | undefined {
  return typeof json === 'string' && json !== '' ? json : undefined;
}
