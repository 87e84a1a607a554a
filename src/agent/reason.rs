// Why a call was refused, as a number that stays: one row each. build.rs makes an enumeration of
// the header of them.

macro_rules! reasons {
    ($($number:literal $variant:ident $name:literal $what:literal;)*) => {
        /// Beside kind and text: what a program can tell apart.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(i32)]
        pub enum Reason {
            $(#[doc = $what] $variant = $number,)*
        }

        /// Number, name and meaning, for the header.
        #[allow(dead_code)]
        pub const TABLE: &[(i32, &std::ffi::CStr, &str)] = &[$(($number, $name, $what)),*];

        /// Number and name.
        #[allow(dead_code)]
        pub const NAMES: &[(i32, &std::ffi::CStr)] = &[$(($number, $name)),*];
    };
}

#[rustfmt::skip]
reasons! {
    0   None                c"none"                 "None of its own: code, kind and text say all.";
    1   NullPointer         c"null_pointer"         "A pointer is NULL.";
    2   OutOfRange          c"out_of_range"         "A number, length or time is outside its range.";
    3   BadUtf8             c"bad_utf8"             "A string is not UTF-8.";
    4   NulCharacter        c"nul_character"        "A string has a NUL character.";
    5   Empty               c"empty"                "Something is empty that must not be.";
    6   TooLong             c"too_long"             "Longer than its limit.";
    7   UnknownOption       c"unknown_option"       "No option has that number.";
    8   UnknownValue        c"unknown_value"        "Not a value of its enumeration.";
    9   DuplicateName       c"duplicate_name"       "The name is already there.";
    10  Undecodable         c"undecodable"          "The bytes are not a valid message of the protocol.";
    11  TooDeep             c"too_deep"             "More levels of arrays and maps than the limit.";
    12  ControlCharacter    c"control_character"    "A string has a control character.";

    20  AgentRunning        c"agent_running"        "An agent is running.";
    21  NotRunning          c"not_running"          "The agent is not running.";
    22  Frozen              c"frozen"               "The map is frozen.";
    23  Busy                c"busy"                 "Another thread or call is inside.";
    24  HeldBack            c"held_back"            "The server refused a part of it, or it is over a limit.";
    25  Stopped             c"stopped"              "The agent stopped first.";
    26  TooManyWaiting      c"too_many_waiting"     "As many as can wait are waiting.";
    27  WrongDelivery       c"wrong_delivery"       "Not with the delivery that was chosen.";
    28  Ended               c"ended"                "It was ended or freed before.";

    40  NoDescription       c"no_description"       "The agent description has no attribute.";
    41  UnknownCapability   c"unknown_capability"   "A capability bit is undefined.";
    42  CapabilityMissing   c"capability_missing"   "OPAMP_CAPABILITY_REPORTS_STATUS must be declared.";
    43  CapabilityUnsupported c"capability_unsupported" "The library does not have the capability yet.";
    44  CapabilityUndeclared c"capability_undeclared" "The value is kept; the capability that reports it is not declared.";
    45  NeedsOnMessage      c"needs_on_message"     "A declared capability needs the callback on_message.";
    46  NeedsOnRequest      c"needs_on_request"     "The application's own transport needs the callback on_request.";
    47  UnsupportedPart     c"unsupported_part"     "The library does not report that part of a message yet.";
    48  UnsupportedTransport c"unsupported_transport" "Not over this transport.";
    49  UnknownHash         c"unknown_hash"         "The hash is neither the last offer's nor the last reported one.";
    50  TextWithoutFailed   c"text_without_failed"  "An error text goes with OPAMP_REMOTE_CONFIG_FAILED only.";
    51  UnsupportedCallback c"unsupported_callback" "A callback of a later release.";

    60  UrlSyntax           c"url_syntax"           "A URL that cannot be taken apart.";
    61  UrlScheme           c"url_scheme"           "A URL without a scheme, or with an unsupported one.";
    62  UrlHost             c"url_host"             "A URL whose host is missing or malformed.";
    63  UrlPort             c"url_port"             "A URL's port is not 1 to 65535.";
    64  UrlUserInfo         c"url_user_info"        "A URL has user info; a proxy's is malformed.";
    65  UrlCharacter        c"url_character"        "A URL has a character that no URL has.";
    66  UrlFragment         c"url_fragment"         "A URL has a fragment.";
    67  UrlSocket           c"url_socket"           "The path of a URL's unix socket is malformed.";
    68  UrlPath             c"url_path"             "More than scheme, host and port.";

    80  HeaderName          c"header_name"          "Not a header name.";
    81  HeaderValue         c"header_value"         "A header's value has a control or non-ASCII character.";
    82  HeaderReserved      c"header_reserved"      "The library itself sets this header.";

    90  FileNotFound        c"file_not_found"       "A file or directory does not exist.";
    91  FileUnreadable      c"file_unreadable"      "A file or directory cannot be read.";
    92  BadPem              c"bad_pem"              "Certificate or key cannot be used; the text says which and why.";
    93  NoTrust             c"no_trust"             "No trusted CA certificate.";
    94  TlsUnused           c"tls_unused"           "TLS settings where no TLS is spoken.";
    95  ProxyEnvironment    c"proxy_environment"    "A variable of the environment names no usable proxy.";

    100 NoDescriptor        c"no_descriptor"        "No file descriptor.";
    101 NoThread            c"no_thread"            "No thread.";
}
