/**
 * The X.509 library, and nothing else of it: its only importer.
 *
 * @peculiar/x509 resolves its algorithms by decorators, so the metadata polyfill must have run before it is loaded;
 * loading both takes some 200 ms, once, in control only.
 */
import 'reflect-metadata';

export {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
