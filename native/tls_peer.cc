#include "tls_peer.h"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>

namespace podwire {
namespace {

constexpr std::string_view kScheme = "spiffe://";

std::string Hex(const uint8_t* bytes, size_t size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * size);
  for (size_t i = 0; i < size; i++) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

// parseSpiffe() of src/model/identity.ts, and no byte that a log or a comparison could stumble
// over.
bool HasIstiosForm(std::string_view text) {
  if (text.substr(0, kScheme.size()) != kScheme) return false;
  for (const char c : text) {
    if (c <= ' ' || c > '~') return false;
  }
  text.remove_prefix(kScheme.size());
  for (int part = 0; part < 5; part++) {
    const size_t slash = text.find('/');
    if ((slash == text.npos) != (part == 4)) return false;
    const std::string_view value = text.substr(0, slash);
    if (value.empty() || (part == 1 && value != "ns") || (part == 3 && value != "sa")) return false;
    text.remove_prefix(part == 4 ? 0 : slash + 1);
  }
  return true;
}

}  // namespace

std::vector<std::string> SpiffeIds(X509* certificate) {
  std::vector<std::string> ids;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  if (names == nullptr) return ids;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                     static_cast<size_t>(ASN1_STRING_length(uri)));
    if (HasIstiosForm(text)) ids.push_back(std::move(text));
  }
  GENERAL_NAMES_free(names);
  return ids;
}

std::string_view TrustDomainOf(std::string_view spiffe) {
  spiffe.remove_prefix(kScheme.size());
  return spiffe.substr(0, spiffe.find('/'));
}

std::string SerialOf(X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  const std::string hex = Hex(ASN1_STRING_get0_data(serial), ASN1_STRING_length(serial));
  return hex.empty() ? "00" : hex;
}

std::string IssuerHashOf(X509* certificate) {
  uint8_t* der = nullptr;
  const int size = i2d_X509_NAME(X509_get_issuer_name(certificate), &der);
  if (size < 0) return "";
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_Digest(der, static_cast<size_t>(size), digest, &length, EVP_sha256(), nullptr);
  OPENSSL_free(der);
  return Hex(digest, length);
}

double NotAfterOf(X509* certificate) {
  tm time = {};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1) return 0;
  return static_cast<double>(timegm(&time)) * 1000;
}

}  // namespace podwire
