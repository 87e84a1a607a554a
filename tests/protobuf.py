"""Fields of protobuf by hand, for who sends what no encoder would."""


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def delimited(field, content):
    """A length-delimited field."""
    return varint(field << 3 | 2) + varint(len(content)) + content
