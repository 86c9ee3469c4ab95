// Who a certificate names, by SPIFFE ids in Istio's form.
#ifndef PODWIRE_NATIVE_TLS_PEER_H_
#define PODWIRE_NATIVE_TLS_PEER_H_

#include <openssl/x509.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace podwire {

// The URI names of exactly the form spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT, in
// order; others do not count.
std::vector<std::string> SpiffeIds(X509* certificate);

// The trust domain of an id that SpiffeIds() gave.
std::string_view TrustDomainOf(std::string_view spiffe);

// Lower-case hex, two digits a byte.
std::string SerialOf(X509* certificate);

// SHA-256 of the DER of the issuer's name, lower-case hex.
std::string IssuerHashOf(X509* certificate);

// ms since 1970
double NotAfterOf(X509* certificate);

}  // namespace podwire

#endif  // PODWIRE_NATIVE_TLS_PEER_H_
