/**
 * The X.509 library, and nothing else of it: its only importer.
 *
 * @peculiar/x509 resolves its algorithms by decorators, so the metadata polyfill must have run before it is loaded;
 * loading both takes some 250 ms and 20 MiB, once: in control, and in an agent that signs itself or has a CRL file (both import
 * what needs it when they do).
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
  X509Crl,
} from '@peculiar/x509';
