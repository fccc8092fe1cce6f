// fmt as a static library, which Debian does not have: what is compiled into its shared one stands in
// this header, but for the instantiations that fmt/format.h declares to be elsewhere. To compile fmt
// into every file instead (FMT_HEADER_ONLY) made a static build a half longer.
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {

template FMT_API auto thousands_sep_impl<char>(locale_ref) -> thousands_sep_result<char>;
template FMT_API auto thousands_sep_impl<wchar_t>(locale_ref) -> thousands_sep_result<wchar_t>;
template FMT_API auto decimal_point_impl(locale_ref) -> char;
template FMT_API auto decimal_point_impl(locale_ref) -> wchar_t;

}  // namespace detail
FMT_END_NAMESPACE
