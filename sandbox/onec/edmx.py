"""What a base tells of itself: the service document and $metadata (facts/onec.md §A1)."""

from collections.abc import Mapping

from sandbox.onec.formats import XML_HEAD
from sandbox.onec.interests import Values
from sandbox.onec.schema import PARTS, Field, Shape, Type

_EDM: dict[Type, str] = {
    "string": "Edm.String",
    "guid": "Edm.Guid",
    "datetime": "Edm.DateTime",
    "bool": "Edm.Boolean",
    "int16": "Edm.Int16",
    "int64": "Edm.Int64",
    "double": "Edm.Double",
    "composite": "Edm.String",
}
_OPENING = (
    '<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"><edmx:DataServices '
    'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata" m:DataServiceVersion="3.0" '
    'm:MaxDataServiceVersion="3.0"><Schema Namespace="StandardODATA" xmlns="http://schemas.microsoft.com/ado/2009/11/edm">'
)
_CLOSING = "</Schema></edmx:DataServices></edmx:Edmx>"


def metadata(shapes: Mapping[str, Shape]) -> str:
    types = "".join(_entity_type(shape) for shape in shapes.values())
    rows = "".join(_row_type(shape) for shape in shapes.values() if shape.part)
    sets = "".join(f'<EntitySet Name="{name}" EntityType="StandardODATA.{name}"/>' for name in shapes)
    container = f'<EntityContainer Name="EnterpriseV8" m:IsDefaultEntityContainer="true">{sets}</EntityContainer>'
    return f"{XML_HEAD}{_OPENING}{types}{rows}{container}{_CLOSING}"


def service_as_json(root: str, shapes: Mapping[str, Shape]) -> Values:
    return {"odata.metadata": f"{root}/$metadata", "value": [{"name": name, "url": name} for name in shapes]}


def service_as_xml(root: str, shapes: Mapping[str, Shape]) -> str:
    rows = "".join(f'<collection href="{name}"><atom:title>{name}</atom:title></collection>' for name in shapes)
    return (
        f'{XML_HEAD}<service xmlns="http://www.w3.org/2007/app" xmlns:atom="http://www.w3.org/2005/Atom" '
        f'xml:base="{root}/"><workspace><atom:title>Default</atom:title>{rows}</workspace></service>'
    )


def _entity_type(shape: Shape) -> str:
    names = (shape.key, "LineNumber") if shape.part else (shape.key,)
    keys = "".join(f'<PropertyRef Name="{name}"/>' for name in names)
    properties = "".join(_property(field, shape, is_key=field.name in names) for field in shape.fields.values())
    return f'<EntityType Name="{shape.name}"><Key>{keys}</Key>{properties}</EntityType>'


def _row_type(shape: Shape) -> str:
    properties = "".join(_property(field, shape, is_key=False) for field in PARTS[shape.part])
    return f'<ComplexType Name="{shape.name}_RowType">{properties}</ComplexType>'


def _property(field: Field, shape: Shape, *, is_key: bool) -> str:
    type_ = _EDM.get(field.type) or f"Collection(StandardODATA.{shape.name}_{field.name}_RowType)"
    return f'<Property Name="{field.name}" Type="{type_}" Nullable="{"false" if is_key else "true"}"/>'
